-- Whoever has the scope admin makes, replaces and revokes the keys of his own organization by the API. Policies keep the role of the
-- API to that organization, as everywhere. The hashes of keys are for the service alone: the API stores one and reads none.
-- The release before may serve beside this: yes. It has no such routes, and rights that it does not use.
grant insert (organization_id, name) on users to metrology_api;
grant
  select (scopes, created_at, expires_at, revoked_at, last_used_at, replaces_key_id),
  insert (organization_id, user_id, public_id, key_hash, key_hint, scopes, expires_at, replaces_key_id),
  update (expires_at, revoked_at)
  on api_keys to metrology_api;
-- The keys of a user, and those that are shown first: a list of an organization goes by the number of the key.
create index api_keys_of_user on api_keys (organization_id, user_id, key_id);
