-- Series are packed where that is exact: as whole numbers, x[i] = (base + step * i + residual[i]) / scale, for i from 0. Readings of
-- instruments are decimals with few digits, and their times are nearly regular, so residuals mostly take 2 bytes.
-- The release before may serve beside this: yes. It goes on to store float8[] and to read them; packing begins when no server
-- of that release is connected, and then 'yes' becomes 'no' in the list of migrations.

-- Of each of the two series of a chunk either the array stands as it was sent (timestamps, "values"), or its exponent, base and
-- step do (NULL for a step of 0), and its residuals: 1 to 6 bytes each, the highest first; NULL where all of them are 0. Of an absent reading all bits are set.
-- The last few bytes may stand apart, in the row (rest): PostgreSQL keeps long values in pieces of 1,996 bytes, and 1,000
-- residuals of 2 bytes would need 4 more, which cost a quarter of each page.
-- base and step are whole numbers, and so are all sums; they lie within ±2^53, so a float8 holds them exactly.
do $$
declare
  part text;
begin
  foreach part in array '{chunks,chunk_revisions}'::text[] loop
    execute format(
      'alter table %I
         alter column timestamps drop not null, alter column "values" drop not null,
         add column time_base bigint, add column time_step bigint, add column value_base bigint, add column value_step bigint,
         add column time_exponent smallint, add column value_exponent smallint,
         add column time_residuals bytea, add column value_residuals bytea,
         add column time_rest bytea, add column value_rest bytea', part);
    -- To compress them saves nothing, and costs a write twice its time.
    execute format(
      'alter table %I alter column time_residuals set storage external, alter column value_residuals set storage external',
      part);
  end loop;
end $$;

-- A server of the release before that replaces a packed chunk would keep nothing of it: its revision is refused, and with it the
-- replacement. Of a row of chunks nothing is checked: PostgreSQL reads such a condition anew for each statement, which cost
-- chunks of 100 points a fifth of their time. Rows of before are as it says; to have them looked at would take long.
alter table chunk_revisions
  add constraint each_series_once check (
    num_nonnulls(timestamps, time_exponent) = 1 and num_nonnulls("values", value_exponent) = 1) not valid;

-- What whole numbers are divided by: 10^exponent, or 2^-exponent where it is below 0. The powers of ten are those up to which
-- each is a float8, written out: power() might round.
create function series_scale(exponent smallint) returns float8
language sql immutable parallel safe
return case
  when exponent < 0 then power(2::float8, -exponent)
  else (array[1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22]::float8[])[exponent + 1]
end;

-- Bytes of a residual, among those of so many points; NULL where they cannot be of so many.
create function residual_width(residuals bytea, point_count integer) returns integer
language sql immutable parallel safe
return case
  when residuals is null then 0
  when point_count > 0 and octet_length(residuals) % point_count = 0 then octet_length(residuals) / point_count
end;

-- The residual of a place, from 0, among residuals of a width; NULL of an absent reading.
create function residual_at(residuals bytea, width integer, place integer) returns bigint
language sql immutable parallel safe
return case width
  when 0 then 0
  when 1 then nullif(get_byte(residuals, place), 255)
  when 2 then nullif(get_byte(residuals, 2 * place) * 256 + get_byte(residuals, 2 * place + 1), 65535)
  when 3 then nullif(
    get_byte(residuals, 3 * place) * 65536 + get_byte(residuals, 3 * place + 1) * 256 + get_byte(residuals, 3 * place + 2),
    16777215)
  when 4 then nullif(
    get_byte(residuals, 4 * place) * 16777216::bigint + get_byte(residuals, 4 * place + 1) * 65536
      + get_byte(residuals, 4 * place + 2) * 256 + get_byte(residuals, 4 * place + 3),
    4294967295)
  when 5 then nullif(
    get_byte(residuals, 5 * place) * 4294967296 + get_byte(residuals, 5 * place + 1) * 16777216::bigint
      + get_byte(residuals, 5 * place + 2) * 65536 + get_byte(residuals, 5 * place + 3) * 256
      + get_byte(residuals, 5 * place + 4),
    1099511627775)
  when 6 then nullif(
    get_byte(residuals, 6 * place) * 1099511627776 + get_byte(residuals, 6 * place + 1) * 4294967296
      + get_byte(residuals, 6 * place + 2) * 16777216::bigint + get_byte(residuals, 6 * place + 3) * 65536
      + get_byte(residuals, 6 * place + 4) * 256 + get_byte(residuals, 6 * place + 5),
    281474976710655)
end;

-- The points of a chunk, whatever the form of its series; `place` counts from 0. PostgreSQL writes both functions into the
-- statement that calls them, so nothing is called for a point. `offset 0` keeps it from fetching the residuals for each.
create function chunk_points(
  point_count integer,
  timestamps float8[], time_exponent smallint, time_base bigint, time_step bigint, time_residuals bytea, time_rest bytea,
  "values" float8[], value_exponent smallint, value_base bigint, value_step bigint, value_residuals bytea, value_rest bytea
) returns table (place integer, seconds float8, value float8)
language sql immutable parallel safe
begin atomic
  select p.place,
         coalesce(p.seconds, (time_base + r.time_rise * p.place + residual_at(r.time_bytes, r.time_width, p.place)) / r.time_scale),
         coalesce(p.value, (value_base + r.value_rise * p.place + residual_at(r.value_bytes, r.value_width, p.place)) / r.value_scale)
  from (
    select time_bytes, residual_width(time_bytes, point_count) as time_width,
           coalesce(time_step, 0) as time_rise, series_scale(time_exponent) as time_scale,
           value_bytes, residual_width(value_bytes, point_count) as value_width,
           coalesce(value_step, 0) as value_rise, series_scale(value_exponent) as value_scale
    from (
      select time_residuals || coalesce(time_rest, '') as time_bytes,
             value_residuals || coalesce(value_rest, '') as value_bytes
      offset 0
    ) whole
    offset 0
  ) r
  cross join lateral (
    select generate_series(0, point_count - 1) as place, unnest(timestamps) as seconds, unnest("values") as value
  ) p;
end;

create or replace view points with (security_barrier) as
select s.data_id, s.stream_name, c.channel_name, coalesce(k.units, c.units) as units, point_time(p.seconds) as "time",
       p.seconds as "timestamp", p.value, k.start_offset + p.place as point_offset
from sql_readers r
join streams s on s.organization_id = r.organization_id
join channels c on c.data_id = s.data_id
join chunks k on k.data_id = c.data_id and k.channel_id = c.channel_id
cross join lateral chunk_points(
  k.point_count,
  k.timestamps, k.time_exponent, k.time_base, k.time_step, k.time_residuals, k.time_rest,
  k."values", k.value_exponent, k.value_base, k.value_step, k.value_residuals, k.value_rest
) as p
where r.role_name = session_user::text and s.deleted_at is null;

create or replace function points_between(
  stream uuid, from_time timestamptz, to_time timestamptz, channel_names text[] default null
) returns table (
  data_id uuid, stream_name text, channel_name text, units text, "time" timestamptz, "timestamp" float8, value float8,
  point_offset bigint
)
language sql stable security definer
begin atomic
  select s.data_id, s.stream_name, c.channel_name, coalesce(k.units, c.units), point_time(p.seconds), p.seconds, p.value,
         k.start_offset + p.place
  from sql_readers r
  join streams s on s.organization_id = r.organization_id
  join channels c on c.data_id = s.data_id
  cross join lateral (
    select n.*
    from chunks n
    where n.channel_id::float8 = c.channel_id::float8
      and n.time_min >= extract(epoch from from_time)::float8 - 0.000001 - c.chunk_seconds_max
      and n.time_min <= extract(epoch from to_time)::float8 + 0.000001
      and n.time_max >= extract(epoch from from_time)::float8 - 0.000001
    offset 0
  ) k
  cross join lateral chunk_points(
    k.point_count,
    k.timestamps, k.time_exponent, k.time_base, k.time_step, k.time_residuals, k.time_rest,
    k."values", k.value_exponent, k.value_base, k.value_step, k.value_residuals, k.value_rest
  ) as p
  where r.role_name = session_user::text and s.data_id = stream and s.deleted_at is null
    and (channel_names is null or c.channel_name = any(channel_names))
    and point_time(p.seconds) between from_time and to_time;
end;

-- A server that finds no other of the release before lets packing begin.
grant update (release_before_serves) on kysely_migration to metrology_service;
