/* SQL that all statements about runs share. */

/** The state of a run; `interrupted` is an open run without a new chunk for STREAM_IDLE_SECONDS. */
export type RunStatus = 'live' | 'interrupted' | 'finalized';

/** What is told of a run besides its channels; `deleted` is also one that is not there. */
export type EventStatus = RunStatus | 'deleted';

/** Unix microseconds of the database's clock, as a whole number that a float64 holds exactly. */
export type Micros = number;

/** SQL that turns a time into `Micros`. */
export const micros = (time: string) => `(extract(epoch from ${time}) * 1000000)::float8`;

/** SQL of the status of a stream `s` with its channels `c`; $2 is STREAM_IDLE_SECONDS. */
export const statusSql = `
  case when s.finalized_at is not null then 'finalized'
       when greatest(s.created_at, c.changed_at) + make_interval(secs => $2::float8) < clock_timestamp()
         then 'interrupted'
       else 'live' end`;
