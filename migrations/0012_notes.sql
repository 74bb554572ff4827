-- A person writes a note on a run: what a log book would say of it.
-- The release before may serve beside this: yes. It answers null where a note is, and leaves it as it is.
alter table streams
  add column note text,
  add column note_changed_at timestamptz;
