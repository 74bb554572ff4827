-- A person signs in to the page of the server with a key once, and from then on has a session: a cookie that a program in the
-- page cannot read, instead of a key that it would have to keep. A link that signs in is worth one session.
-- The release before may serve beside this: yes. It has no sessions and looks at neither table.

-- A session is stored as its SHA-256 only. It opens what its key opens, for as long as both last. Links are alike, and go when
-- they are used: they are a table of their own so that none is ever taken for a session.
create table sessions (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  organization_id uuid not null references organizations,
  key_id bigint not null references api_keys,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index sessions_of_key on sessions (key_id, created_at);
-- What has ended is found by its end, when another one is stored.
create index sessions_by_end on sessions (expires_at);

create table sign_in_links (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  organization_id uuid not null references organizations,
  key_id bigint not null references api_keys,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index sign_in_links_of_key on sign_in_links (key_id, created_at);
create index sign_in_links_by_end on sign_in_links (expires_at);

-- Who asks is found out before an organization is known, so it is the service that reads and writes them; the API does not.
do $$
declare
  walled text;
begin
  foreach walled in array '{sessions,sign_in_links}'::text[] loop
    execute format('alter table %I enable row level security, force row level security', walled);
    execute format(
      'create policy own_organization on %I to metrology_api
       using (organization_id = (select current_setting(''metrology.organization_id'')::uuid))', walled);
    execute format('create policy every_organization on %I to metrology_service using (true)', walled);
    execute format('grant select, insert, update, delete on %I to metrology_service', walled);
  end loop;
end $$;
