/*
 * What stands in a database of the test mode beside the tables of the server, and is there before them. The schema `public`
 * comes before PostgreSQL's own in the search path, so the functions below are found first: by statements, and by the
 * defaults of columns and the bodies of functions, which remember what they found when the migrations made them.
 * Not reached are the keywords current_timestamp and its like; a test sees to it that nothing uses them.
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

/** Tables and sequences of the test mode itself, which a reset does not empty. */
export const ownTables = ['test_state'];
