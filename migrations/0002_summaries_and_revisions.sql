-- Reads at scale ask what a chunk holds without opening its arrays: its smallest and largest value for down-sampled reads,
-- and which chunks a window of time can touch. And a chunk that is replaced by other content keeps what it replaced.

-- The extreme values among the points that have a possible time, the first of equal ones, and when they were (Unix
-- seconds, as stored). All four are NULL where there is no such point.
alter table chunks
  add column value_min float8,
  add column value_max float8,
  add column value_min_time float8,
  add column value_max_time float8;

-- The longest time that one chunk of the channel has ever spanned, in seconds. It never shrinks: the chunks that touch a
-- window begin no earlier than so long before it, which lets an index on their first times find them.
alter table channels add column chunk_seconds_max float8;

-- An empty unit is no unit, so that an export, where both look alike, holds all that a content hash covers.
update chunks
set units = null, content_hash = sha256(array_send(timestamps) || array_send("values"))
where units = '';

update chunks k
set value_min = e.value_min, value_max = e.value_max, value_min_time = e.value_min_time, value_max_time = e.value_max_time
from chunks s
cross join lateral (
  select (array_agg(p.value order by p.value, p.position))[1] as value_min,
         (array_agg(p.value order by p.value desc, p.position))[1] as value_max,
         (array_agg(p.time order by p.value, p.position))[1] as value_min_time,
         (array_agg(p.time order by p.value desc, p.position))[1] as value_max_time
  from unnest(s.timestamps, s."values") with ordinality as p (time, value, position)
  where p.value is not null and abs(p.time) <= 8.64e12
) e
where k.data_id = s.data_id and k.channel_id = s.channel_id and k.chunk_index = s.chunk_index;

update channels c
set chunk_seconds_max = (
  select max(k.time_max - k.time_min) from chunks k where k.data_id = c.data_id and k.channel_id = c.channel_id
);

-- A channel's id is its own in all the database, so the index can do without the stream: 28 bytes a chunk, not 44. It is
-- an expression on purpose: readers of windows write `channel_id + 0`. On the bare column PostgreSQL took this index also
-- for ingest, which asks for chunks by their whole key, and went through all chunks of a channel for each (twice the cost).
-- Times of a channel ascend, so its pages are filled to the brim.
create index chunks_by_time on chunks ((channel_id + 0), time_min) with (fillfactor = 100);

-- What a replaced chunk held. Revision 1 is what stood there first; the chunk's replaced_count is the newest of them.
-- key_id and stored_at say who had stored that content, and when.
create table chunk_revisions (
  data_id uuid not null,
  channel_id bigint not null,
  chunk_index bigint not null,
  revision integer not null,
  replaced_at timestamptz not null default clock_timestamp(),
  replaced_by_key_id bigint not null,
  key_id bigint not null,
  stored_at timestamptz not null,
  content_hash bytea not null,
  replacing_hash bytea not null,
  time_min float8,
  time_max float8,
  point_count integer not null,
  null_count integer not null,
  ascending boolean not null,
  units text,
  timestamps float8[] not null,
  values float8[] not null,
  primary key (data_id, channel_id, chunk_index, revision)
);
alter table chunk_revisions alter column timestamps set storage external, alter column values set storage external;
-- What is kept for a time only is found by its age.
create index chunk_revisions_by_age on chunk_revisions (replaced_at);
