-- The list of physical samples is read in pages, newest first; without this index each page would sort all samples anew.
-- The release before may serve beside this: yes. It reads and writes the same rows.
create index physical_samples_newest on physical_samples (organization_id, created_at desc, physical_sample_id);
