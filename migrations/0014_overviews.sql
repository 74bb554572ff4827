-- What a channel looks like from afar: reads that show a long run in few points pass by the rows of its chunks.
-- The release before may serve beside this: yes. It makes no overviews; of what it replaces, they are forgotten by the trigger below.

-- A row of level 1 stands for 64 chunks, those with chunk_index / 64 = block; one of level 2 for 64 rows of level 1, and so on. It
-- is there only where all of its children are, and each of its chunks has a possible time. `children` holds a summary of each
-- child (src/points/overview.ts). contents_hash is the SHA-256 of the hashes of the children, of chunks their content_hash.
-- The statistics are those of all points of the block that have a possible time: readings that are there and that are absent,
-- the sum of the readings (sum and what it lacks by rounding), and the sum of their squared distances from their mean.
create table overviews (
  data_id uuid not null,
  channel_id bigint not null,
  "level" smallint not null,
  block bigint not null,
  organization_id uuid not null,
  value_count bigint not null,
  absent_count bigint not null,
  value_sum float8 not null,
  value_sum_rest float8 not null,
  value_squares float8 not null,
  contents_hash bytea not null,
  children bytea not null,
  primary key (data_id, channel_id, "level", block),
  foreign key (data_id, channel_id) references channels on delete cascade,
  -- Its chunks have indexes below 2^53.
  check ("level" between 1 and 8 and block between 0 and 9007199254740991 >> (6 * "level"))
);
-- They are packed already.
alter table overviews alter column children set storage external;

alter table overviews enable row level security, force row level security;
create policy own_organization on overviews to metrology_api
  using (nullif(organization_id = (select current_setting('metrology.organization_id')::uuid), false) is not null);
create policy every_organization on overviews to metrology_service using (true);
grant select on overviews to metrology_api;
grant select, insert, update, delete on overviews to metrology_service;

-- A chunk that is replaced is in no block any more until one is made anew. Whoever replaces one holds the lock of its channel, and
-- whoever makes a block takes it too, so no block is made of what is being replaced.
create function forget_overviews() returns trigger
language plpgsql as $$
begin
  delete from overviews
  where data_id = old.data_id and channel_id = old.channel_id
    and ("level", block) in (select n, old.chunk_index >> (6 * n) from generate_series(1, 8) as n);
  return null;
end $$;
create trigger forget_overviews after update on chunks for each row
  when (old.content_hash is distinct from new.content_hash
    or (old.time_min, old.time_max, old.value_min, old.value_max, old.value_min_time, old.value_max_time)
      is distinct from (new.time_min, new.time_max, new.value_min, new.value_max, new.value_min_time, new.value_max_time))
  execute function forget_overviews();
