-- Who did what: keys, deletions, replaced chunks, restores, sign-ins and exports, each an entry that is written in the transaction of
-- what it tells of. Entries outlive their streams and keys, so nothing refers to those by a foreign key.
-- The release before may serve beside this: yes. It writes no entries.
create table audit_log (
  entry_id uuid primary key,
  happened_at timestamptz not null,
  -- NULL of a stranger who has tried to sign in: only the operator sees that.
  organization_id uuid,
  action text not null check (length(action) between 1 and 40),
  -- key: a request under one, or in its session. operator: a command, and user_name is the account of the system that ran it.
  actor text not null check (actor in ('key', 'operator', 'server', 'stranger')),
  key_id bigint,
  key_hint text check (length(key_hint) <= 100),
  user_name text check (length(user_name) <= 1000),
  -- What it was done to, where that is a stream or a key.
  data_id uuid,
  of_key_id bigint,
  request_id text check (length(request_id) <= 200),
  address text check (length(address) <= 200),
  details jsonb not null check (length(details::text) <= 8000),
  -- Of what may be done thousands of times a minute: an entry with the same text is not written again.
  once text check (length(once) <= 200)
);
create index audit_by_organization on audit_log (organization_id, happened_at desc, entry_id);
create index audit_by_time on audit_log (happened_at desc, entry_id);
create index audit_by_stream on audit_log (data_id, happened_at desc) where data_id is not null;
create unique index audit_once on audit_log (data_id, once) where once is not null;

-- The roles of the server write and read entries. Neither changes or removes one.
alter table audit_log enable row level security, force row level security;
create policy own_organization on audit_log to metrology_api
  using (organization_id = (select current_setting('metrology.organization_id')::uuid));
create policy every_organization on audit_log to metrology_service using (true);
grant select, insert on audit_log to metrology_api, metrology_service;

-- Removes entries that are older than so many days, some at a time: the one way in which the server may. Less than 30 days counts as
-- 30, so that nobody who gets hold of the server's connection removes what he has just done.
create function remove_old_audit_entries(keep_days integer, count_max integer) returns bigint
language sql volatile security definer
begin atomic
  with removed as (
    delete from audit_log where entry_id in (
      select entry_id from audit_log
      where happened_at < clock_timestamp() - make_interval(days => greatest(keep_days, 30))
      order by happened_at limit count_max for update skip locked)
    returning entry_id
  )
  select count(*) from removed;
end;
revoke all on function remove_old_audit_entries from public;
grant execute on function remove_old_audit_entries to metrology_service;
