-- PostgreSQL itself keeps organizations apart. Two roles, made before the migrations run since they belong to all databases,
-- do all work: metrology_api sees the rows of the organization that its connection has named in the setting
-- metrology.organization_id, and fails where none is named; metrology_service, under which chunks are stored and keys looked
-- up, sees all. Policies are forced, so they hold for the owner of the tables too, who is a member of metrology_service.

-- Rows of a stream carry its organization themselves: a policy that looked at the stream of each row cost a page of 250
-- chunks 17 ms instead of 0.7. Nearly always all streams are of one organization, and a column with a constant default
-- rewrites no table; then only what is of another is written.
do $$
declare
  widest uuid := (select organization_id from streams group by organization_id order by count(*) desc limit 1);
  part text;
begin
  foreach part in array '{channels,chunks,chunk_revisions}'::text[] loop
    execute format('alter table %I add column organization_id uuid not null default %L', part, widest);
    execute format('alter table %I alter column organization_id drop default', part);
    execute format(
      'update %I r set organization_id = s.organization_id from streams s
       where s.data_id = r.data_id and s.organization_id <> %L', part, widest);
  end loop;
end $$;

-- Under a policy PostgreSQL looks a condition up in an index only where it can tell nothing of rows that are hidden. It
-- knows that of a cast to float8, and does not of an addition. Channel ids stay below 2^53, so the cast is exact.
drop index chunks_by_time;
create index chunks_by_time on chunks ((channel_id::float8), time_min) with (fillfactor = 100);

create or replace function points_between(
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
    where n.channel_id::float8 = c.channel_id::float8
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

-- The organization is read once for a statement, not for every row; without it the statement fails. What belongs to a
-- stream is found by the stream, and its policy leaves all of that: said as `nullif … is not null`, PostgreSQL expects so.
-- Said as an equation it expects few rows, and would sort a whole channel instead of walking its index to the newest chunks.
do $$
declare
  own constant text := 'organization_id = (select current_setting(''metrology.organization_id'')::uuid)';
  of_stream constant text[] := '{channels,chunks,chunk_revisions}';
  walled text;
begin
  foreach walled in array of_stream ||
    '{organizations,users,api_keys,sql_readers,growth_instruments,physical_samples,projects,project_physical_samples,
      tags,streams,processed_data_entries,stream_tags}'::text[]
  loop
    execute format('alter table %I enable row level security, force row level security', walled);
    execute format(
      case when walled = any (of_stream) then 'create policy own_organization on %I to metrology_api using (nullif(%s, false) is not null)'
           else 'create policy own_organization on %I to metrology_api using (%s)' end, walled, own);
    execute format('create policy every_organization on %I to metrology_service using (true)', walled);
    execute format('grant select, insert, update, delete on %I to metrology_service', walled);
  end loop;
  execute format('grant usage on schema %I to metrology_api, metrology_service', current_schema());
end $$;
grant select on kysely_migration to metrology_service;

-- The API edits the catalogue. Of keys it names who has stored something; it stores no chunk, and removes them with their
-- stream, whose channels it locks meanwhile (which takes the right to update a column).
grant select, insert, update, delete
  on growth_instruments, physical_samples, projects, project_physical_samples, tags, streams, processed_data_entries,
     stream_tags
  to metrology_api;
grant select on users to metrology_api;
grant select (key_id, organization_id, user_id, key_hint) on api_keys to metrology_api;
grant select, delete, update (changed_at) on channels to metrology_api;
grant select, delete on chunks, chunk_revisions to metrology_api;
