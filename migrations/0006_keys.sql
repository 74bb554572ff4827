-- Keys are found by an id that is no secret, and their hash is then compared in constant time. A key of this server carries
-- that id in itself; of any other, and of those made before, it is the beginning of the SHA-256, in hexadecimal.
alter table api_keys
  add column public_id text,
  -- When it last opened, to the minute: noted beside requests, never by them.
  add column last_used_at timestamptz,
  add column replaces_key_id bigint references api_keys;
update api_keys set public_id = encode(substring(key_hash from 1 for 8), 'hex');
alter table api_keys
  alter column public_id set not null,
  add constraint api_keys_public_id_key unique (public_id),
  add constraint api_keys_scopes_check check (scopes <@ '{read,write,delete,admin}' and cardinality(scopes) > 0);
-- A key has one successor; when that was revoked, it may have another.
create unique index api_keys_successor on api_keys (replaces_key_id) where revoked_at is null;
