-- Makes the tables of every earlier build what a new database has.
-- The release before may serve beside this: yes. It reads and writes the same rows, with or without the index.

-- It was written into 0001 after that had shipped, so the first databases lack it, and ingest looks through all channels of a
-- stream for each. It is all that changed migrations have left: 0007 makes the other index that changed, chunks_by_time, anew.
create index if not exists channels_by_id on channels (channel_id);

-- What the tool of the first releases kept beside its list of migrations. Nothing has used it since.
drop table if exists kysely_migration_lock;
