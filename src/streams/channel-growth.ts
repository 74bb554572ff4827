import type { Differences } from './statement-forms.ts';

/**
 * In a cluster the coordinator reads the clock before the update waits for the row on its node. `changed_at` must grow
 * all the same, since clients follow a run by it. Citus takes immutable functions of columns only, and adding an interval
 * is immutable for times without a zone.
 */
const laterThanBefore = `greatest(
    (c.changed_at at time zone 'UTC' + interval '1 microsecond') at time zone 'UTC', clock_timestamp()
  )`;

/** The `set` list of `update channels c`, from the growth `g` of each channel. */
export const addGrowth = ({ either }: Differences) => `
  chunk_count = c.chunk_count + g.chunks,
  point_count = c.point_count + g.points,
  null_count = c.null_count + g.nulls,
  time_min = least(c.time_min, g.time_min),
  time_max = greatest(c.time_max, g.time_max),
  chunk_seconds_max = greatest(c.chunk_seconds_max, g.seconds_max),
  units = case when g.units_chunk_index >= coalesce(c.units_chunk_index, -1) then g.units else c.units end,
  units_chunk_index = greatest(c.units_chunk_index, g.units_chunk_index),
  changed_at = ${either('clock_timestamp()', laterThanBefore)}`;

/**
 * What follows `update channels c set …`: finds the channels by the place (ctid) of their rows. The channels are locked, so
 * only this statement itself can move them. In a cluster, statements are planned for the rows that they have, and need no
 * such help.
 */
export const ofGrowth = ({ either }: Differences) =>
  either(
    `from growth g cross join lateral (select ctid from channels where channel_id = g.channel_id limit 1) as found
  where c.ctid = found.ctid`,
    `from growth g
  where c.channel_id = g.channel_id`,
  );
