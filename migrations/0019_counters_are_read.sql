-- A backup is taken as the service. Rows alone do not tell how far the counter of an identity column has gone: numbers of what was
-- removed are not given out again.
-- The release before may serve beside this: yes. It does not look at counters.
do $$
begin
  execute format('grant select on all sequences in schema %I to metrology_service', current_schema());
end $$;
