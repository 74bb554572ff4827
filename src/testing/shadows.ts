/*
 * Tables and functions of the test mode, which are created in its database before the tables of the server. The schema
 * `public` comes before PostgreSQL's own in the search path, so the functions below replace those of PostgreSQL: in
 * statements, and in column defaults and function bodies, which are bound to them when the migrations run. Keywords such as
 * current_timestamp are not replaced; a test checks that nothing uses them.
 */

/** Run once, as the owner of the tables, in the database `metrology`. */
export const shadowStatements = `
create table public.test_state (
  moved_by interval not null default '0',
  seed text not null default ''
);
insert into public.test_state default values;
grant select on public.test_state to public;
create sequence public.test_ids;

create function public.now() returns timestamptz language plpgsql stable as
$$ begin return pg_catalog.now() + (select moved_by from public.test_state); end $$;
create function public.transaction_timestamp() returns timestamptz language plpgsql stable as
$$ begin return pg_catalog.now() + (select moved_by from public.test_state); end $$;
create function public.statement_timestamp() returns timestamptz language plpgsql stable as
$$ begin return pg_catalog.statement_timestamp() + (select moved_by from public.test_state); end $$;
create function public.clock_timestamp() returns timestamptz language plpgsql volatile as
$$ begin return pg_catalog.clock_timestamp() + (select moved_by from public.test_state); end $$;

create function public.gen_random_uuid() returns uuid language plpgsql volatile security definer as
$$
declare
  drawn text := md5((select seed from public.test_state) || ' ' || nextval('public.test_ids'));
begin
  return overlay(overlay(drawn placing '4' from 13) placing 'a' from 17)::uuid;
end
$$;

alter database metrology set search_path = public, pg_catalog;
`;

/** Tables and sequences of the test mode itself. A reset does not empty them. */
export const ownTables = ['test_state'];
