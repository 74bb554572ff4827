-- Data entries get a life cycle: they can be deleted, restored and removed for good, and a person can say of one what it
-- is called and how it went.

-- A deleted stream keeps its rows and is answered like an unknown one. Once removed_at is set its rows are going for good:
-- it cannot be restored any more, and its chunks may still be there without their channels.
-- pipeline_status and char_source_type are what a person has said; NULL leaves both to the server.
alter table streams
  add column deleted_at timestamptz,
  add column removed_at timestamptz,
  add column pipeline_status text,
  add column char_source_type text;

-- A sample with which a stream is opened in a project is a sample of that project, also where nobody tracks it.
insert into project_physical_samples (project_id, physical_sample_id, organization_id, created_at)
select project_id, physical_sample_id, organization_id, min(created_at)
from streams where project_id is not null and physical_sample_id is not null
group by project_id, physical_sample_id, organization_id
on conflict do nothing;
