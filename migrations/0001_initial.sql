-- The first release needs people (organizations, users, keys), a catalogue (instruments, samples, projects, tags,
-- streams) and the time series themselves (channels, chunks). One row holds one chunk of one channel: writing a chunk
-- again replaces that row and nothing else, and a reader pages through a channel by its primary key.

create table organizations (
  organization_id uuid primary key default gen_random_uuid(),
  name text not null,
  created_at timestamptz not null default now()
);
create unique index organizations_name_key on organizations (lower(name));

create table users (
  user_id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references organizations,
  name text not null,
  created_at timestamptz not null default now()
);
create unique index users_name_key on users (organization_id, lower(name));

-- A key is stored as its SHA-256 only; key_hint is the part of it that may be shown to tell keys apart.
create table api_keys (
  key_id bigint generated always as identity primary key,
  organization_id uuid not null references organizations,
  user_id uuid not null references users,
  key_hash bytea not null unique check (octet_length(key_hash) = 32),
  key_hint text not null,
  scopes text[] not null default '{read,write,delete,admin}',
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
create index api_keys_organization on api_keys (organization_id);

-- Deleted instruments keep their row: the streams that they grew still show their name.
create table growth_instruments (
  synth_source_id integer generated always as identity primary key,
  organization_id uuid not null references organizations,
  user_id uuid not null references users,
  source_name text not null,
  synth_source_type text not null,
  source_model text,
  serial_id text,
  created_at timestamptz not null default now(),
  deleted_at timestamptz
);
create index growth_instruments_organization on growth_instruments (organization_id);

create table physical_samples (
  physical_sample_id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references organizations,
  user_id uuid not null references users,
  name text not null,
  growth_instrument_id integer references growth_instruments,
  sample_id bigint,
  detail_notes_id uuid,
  physical_sample_metadata jsonb,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now()
);
-- The SDK matches sample and tag names trimmed and without regard to case, and two streamers may create one at once.
create unique index physical_samples_name_key on physical_samples (organization_id, lower(btrim(name)));

-- api_configuration is the client's own object, kept as it came.
create table projects (
  project_id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references organizations,
  user_id uuid not null references users,
  name text not null,
  api_configuration jsonb,
  active_tracking_physical_sample_id uuid references physical_samples,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now()
);
create unique index projects_name_key on projects (organization_id, lower(btrim(name)));

create table project_physical_samples (
  project_id uuid not null references projects,
  physical_sample_id uuid not null references physical_samples,
  organization_id uuid not null references organizations,
  created_at timestamptz not null default now(),
  primary key (project_id, physical_sample_id)
);
create index project_physical_samples_sample on project_physical_samples (physical_sample_id);

create table tags (
  tag_id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references organizations,
  user_id uuid not null references users,
  name text not null,
  created_at timestamptz not null default now()
);
create unique index tags_name_key on tags (organization_id, lower(btrim(name)));

-- A stream is a data entry of the catalogue. What ingest changes all the time (counts, times) stands in its channels:
-- a stream row that every chunk updates would make all chunks wait for each other.
create table streams (
  data_id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references organizations,
  user_id uuid not null references users,
  stream_name text not null,
  points_per_chunk integer not null check (points_per_chunk > 0),
  instrument_type text,
  synth_source_id integer references growth_instruments,
  physical_sample_id uuid references physical_samples,
  project_id uuid references projects,
  created_at timestamptz not null default clock_timestamp(),
  changed_at timestamptz not null default clock_timestamp(),
  finalized_at timestamptz
);
create index streams_newest on streams (organization_id, created_at desc, data_id);
create index streams_sample on streams (physical_sample_id);
create index streams_project on streams (project_id);

create table processed_data_entries (
  processed_data_id uuid primary key default gen_random_uuid(),
  data_id uuid not null unique references streams on delete cascade,
  organization_id uuid not null references organizations,
  created_at timestamptz not null default clock_timestamp()
);

create table stream_tags (
  data_id uuid not null references streams on delete cascade,
  tag_id uuid not null references tags on delete cascade,
  organization_id uuid not null references organizations,
  created_at timestamptz not null default clock_timestamp(),
  primary key (data_id, tag_id)
);
create index stream_tags_tag on stream_tags (tag_id);

-- The counters of a channel are exact: they change in the transaction that changes its chunks, under its row lock.
-- time_min and time_max (Unix seconds) and null_count (absent values) are those of all its chunks; units is that of the
-- highest chunk that has one, units_chunk_index.
create table channels (
  data_id uuid not null references streams on delete cascade,
  channel_id bigint generated always as identity,
  channel_name text not null,
  chunk_count bigint not null default 0,
  point_count bigint not null default 0,
  null_count bigint not null default 0,
  time_min float8,
  time_max float8,
  units text,
  units_chunk_index bigint,
  created_at timestamptz not null default clock_timestamp(),
  changed_at timestamptz not null default clock_timestamp(),
  primary key (data_id, channel_id),
  unique (data_id, channel_name)
) with (fillfactor = 70);
-- Ingest finds channels by their id alone: with two keys that both begin with data_id, PostgreSQL may take the wrong one
-- while the table is small, keep that plan, and look through all channels of a stream for each.
create index channels_by_id on channels (channel_id);

-- start_offset = chunk_index × points_per_chunk. time_min and time_max span the timestamps that a time-series read shows
-- (those that are a possible time), NULL when there is none; ascending says whether they never step back.
-- content_hash is SHA-256 over the PostgreSQL binary images of both arrays and the unit. There is no foreign key to
-- channels: whoever writes a chunk holds the row lock of its channel in the same transaction.
create table chunks (
  data_id uuid not null,
  channel_id bigint not null,
  chunk_index bigint not null,
  start_offset bigint not null,
  stored_at timestamptz not null default clock_timestamp(),
  changed_at timestamptz not null default clock_timestamp(),
  key_id bigint not null,
  time_min float8,
  time_max float8,
  point_count integer not null,
  null_count integer not null,
  replaced_count integer not null default 0,
  ascending boolean not null,
  content_hash bytea not null,
  units text,
  timestamps float8[] not null,
  values float8[] not null,
  primary key (data_id, channel_id, chunk_index)
);
-- Compressing float64 arrays saves little (4 bytes a point on chunks of 1,000) and triples the cost of a write.
alter table chunks alter column timestamps set storage external, alter column values set storage external;
