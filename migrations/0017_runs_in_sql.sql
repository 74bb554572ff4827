-- Whoever shows points in SQL chooses runs as people do: by sample, project or tag. A reader sees the catalogue of its own
-- organization in one more view, as it sees its points.
-- The release before may serve beside this: yes. It does not use the view. A reader that it makes meanwhile lacks the view, and
-- of one that it drops the role stays, which sees nothing.

-- Names stand in place of ids, since no two samples, projects or tags of an organization have the same. Whether an open run is live is
-- for whoever reads, by last_chunk_at: after how long it counts as interrupted is a setting of the server.
-- Lists of projects and tags are subqueries of their columns: PostgreSQL leaves out those that nobody asks for.
create view runs with (security_barrier) as
select s.data_id, s.stream_name, sample.name as sample,
       array(
         select project.name
         from (
           select s.project_id
           union
           select member.project_id from project_physical_samples member
           where member.physical_sample_id = s.physical_sample_id and member.organization_id = s.organization_id
         ) belonging
         join projects project on project.project_id = belonging.project_id and project.organization_id = s.organization_id
         order by project.project_id is distinct from s.project_id, lower(project.name)
       ) as projects,
       array(
         select tag.name from stream_tags tagged
         join tags tag on tag.tag_id = tagged.tag_id and tag.organization_id = tagged.organization_id
         where tagged.data_id = s.data_id and tagged.organization_id = s.organization_id
         order by lower(tag.name)
       ) as tags,
       instrument.source_name as instrument, owner.name as user_name, s.note,
       case when s.finalized_at is null then 'open' else 'finalized' end as state,
       s.created_at as opened_at, s.finalized_at, c.last_chunk_at, c.first_time, c.last_time, c.channel_count, c.point_count
from sql_readers r
join streams s on s.organization_id = r.organization_id
left join physical_samples sample
  on sample.physical_sample_id = s.physical_sample_id and sample.organization_id = s.organization_id
left join growth_instruments instrument
  on instrument.synth_source_id = s.synth_source_id and instrument.organization_id = s.organization_id
left join users owner on owner.user_id = s.user_id and owner.organization_id = s.organization_id
left join lateral (
  select count(*) as channel_count, coalesce(sum(point_count), 0)::bigint as point_count,
         point_time(min(time_min)) as first_time, point_time(max(time_max)) as last_time, max(changed_at) as last_chunk_at
  from channels
  where channels.data_id = s.data_id and channels.chunk_count > 0
) c on true
where r.role_name = session_user::text and s.deleted_at is null;

-- Readers that are there already. After a restore some have no role.
do $$
declare
  reader name;
begin
  for reader in select rolname from sql_readers join pg_roles on rolname = role_name loop
    execute format('grant select on runs to %I', reader);
  end loop;
end $$;
