-- People ask the points in SQL, from Grafana or psql, without a way around the rule that nobody sees another organization's
-- data. A reader is a role of the database that may use the two views and the function below and nothing else; they show
-- it the organization that stands beside its name in sql_readers, and every other role nothing.
-- session_user is who has logged in: unlike current_user it is the same inside of a function.

create table sql_readers (
  role_name text primary key,
  organization_id uuid not null references organizations,
  created_at timestamptz not null default clock_timestamp()
);

-- The time of a point, NULL where it can be none: PostgreSQL begins with the year 4714 BC, and reads end with the last ms
-- of JavaScript, in the year 275760.
create function point_time(seconds float8) returns timestamptz
language sql immutable parallel safe
return case when seconds >= -210866803200 and seconds <= 8640000000000 then to_timestamp(seconds) end;

-- A condition of the reader that might tell what it sees is tried on the reader's own rows only (security_barrier);
-- equality of data_id and channel_name tells nothing and goes down to the indexes.
create view point_channels with (security_barrier) as
select s.data_id, s.stream_name, c.channel_name, c.units, c.point_count, point_time(c.time_min) as first_time,
       point_time(c.time_max) as last_time, s.created_at as opened_at, s.finalized_at
from sql_readers r
join streams s on s.organization_id = r.organization_id
join channels c on c.data_id = s.data_id
where r.role_name = session_user::text and s.deleted_at is null and c.point_count > 0;

create view points with (security_barrier) as
select s.data_id, s.stream_name, c.channel_name, coalesce(k.units, c.units) as units, point_time(p.seconds) as "time",
       p.seconds as "timestamp", p.value, k.start_offset + p.position - 1 as point_offset
from sql_readers r
join streams s on s.organization_id = r.organization_id
join channels c on c.data_id = s.data_id
join chunks k on k.data_id = c.data_id and k.channel_id = c.channel_id
cross join lateral unnest(k.timestamps, k."values") with ordinality as p (seconds, value, position)
where r.role_name = session_user::text and s.deleted_at is null;

-- The points of one stream from one time to another, both included. A condition on the time of the view above is tried on
-- every point of the stream; here the index by time finds the chunks. Times are compared as the view shows them, in
-- microseconds, so the chunks are looked for one microsecond further out. `offset 0` has them looked up channel by channel.
-- Names in the body are bound now, whatever the search_path of the reader.
create function points_between(
  stream uuid, from_time timestamptz, to_time timestamptz, channel_names text[] default null
) returns table (
  data_id uuid, stream_name text, channel_name text, units text, "time" timestamptz, "timestamp" float8, value float8,
  point_offset bigint
)
language sql stable security definer
begin atomic
  select s.data_id, s.stream_name, c.channel_name, coalesce(k.units, c.units), point_time(p.seconds), p.seconds, p.value,
         k.start_offset + p.position - 1
  from sql_readers r
  join streams s on s.organization_id = r.organization_id
  join channels c on c.data_id = s.data_id
  cross join lateral (
    select n.units, n.start_offset, n.timestamps, n."values"
    from chunks n
    where n.channel_id + 0 = c.channel_id
      and n.time_min >= extract(epoch from from_time)::float8 - 0.000001 - c.chunk_seconds_max
      and n.time_min <= extract(epoch from to_time)::float8 + 0.000001
      and n.time_max >= extract(epoch from from_time)::float8 - 0.000001
    offset 0
  ) k
  cross join lateral unnest(k.timestamps, k."values") with ordinality as p (seconds, value, position)
  where r.role_name = session_user::text and s.data_id = stream and s.deleted_at is null
    and (channel_names is null or c.channel_name = any(channel_names))
    and point_time(p.seconds) between from_time and to_time;
end;
revoke all on function points_between from public;
