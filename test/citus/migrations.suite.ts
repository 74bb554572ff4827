import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type OwnerDatabase, openAsOwner } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { shippedFolder } from '../../src/database/migrations.ts';
import { fill } from '../backups/support/content.ts';
import { copyDatabase, startTestServer, type TestServer } from '../support/test-server.ts';

/* Migrations that come after a database was distributed: the same files as on one PostgreSQL. */

/** As CONTRIBUTING.md says that a new table of a stream is made. */
const later = {
  '0901_columns.sql': `-- The release before may serve beside this: yes. A test.
    alter table streams add column symbol text;
    alter table chunks add column colour smallint;
    alter table tags add column colour smallint not null default 7;
    create index streams_by_symbol on streams (organization_id, symbol);`,
  '0902_marks.sql': `-- The release before may serve beside this: yes. A test.
    create table marks (
      data_id uuid not null,
      mark_id uuid not null,
      organization_id uuid not null,
      tag_id uuid not null,
      text text not null,
      primary key (data_id, mark_id)
    );
    do $$ begin
      if to_regnamespace('metrology_cluster') is not null then
        perform create_distributed_table('marks', 'data_id', colocate_with := 'streams');
      end if;
    end $$;
    alter table marks add foreign key (data_id) references streams on delete cascade;
    alter table marks add foreign key (tag_id) references tags;
    alter table marks enable row level security, force row level security;
    create policy own_organization on marks to metrology_api
      using (organization_id = current_setting('metrology.organization_id')::uuid);
    create policy every_organization on marks to metrology_service using (true);
    grant select, insert on marks to metrology_api;
    grant select, insert, update, delete on marks to metrology_service;`,
};

let server: TestServer;
let alone: OwnerDatabase;
let folder: string;
beforeAll(async () => {
  server = await startTestServer();
  alone = openAsOwner(await copyDatabase(inject('templateName')), { onIdleError: () => {} });
  folder = await mkdtemp(join(tmpdir(), 'metrology-later-'));
  await cp(shippedFolder, folder, { recursive: true });
  for (const [name, text] of Object.entries(later)) await writeFile(join(folder, name), text);
});
afterAll(async () => {
  await Promise.all([server?.close(), alone?.close()]);
  await rm(folder, { recursive: true });
});

test('columns, an index and a table of a stream are made through the coordinator, and on one PostgreSQL', async () => {
  const dataId = await fill(server);
  const names = ['0901_columns', '0902_marks'];
  const options = { folder: pathToFileURL(`${folder}/`) };
  expect(await migrate(alone, options)).toEqual(names);
  expect(await migrate(server.owner, options)).toEqual(names);
  const { rows } = await server.owner.pool.query<{ organization: string; tag: string }>(
    `update streams set symbol = 'GaN' where data_id = $1::uuid returning organization_id as organization,
       (select max(tag_id::text) from tags) as tag`,
    [dataId],
  );
  const { organization, tag } = rows[0] as (typeof rows)[0];
  const own = server.database.as(organization);
  await own.pool.query(
    'insert into marks (data_id, mark_id, organization_id, tag_id, text) values ($1::uuid, gen_random_uuid(), $2::uuid, $3::uuid, $4::text)',
    [dataId, organization, tag, 'here'],
  );
  const found = await own.pool.query(
    `select s.symbol, m.text, t.colour from streams s join marks m on m.data_id = s.data_id join tags t on t.tag_id = m.tag_id
     where m.organization_id = $1::uuid`,
    [organization],
  );
  expect(found.rows).toEqual([{ symbol: 'GaN', text: 'here', colour: 7 }]);
  const { rows: others } = await server.owner.pool.query<{ id: string }>(
    'select organization_id as id from organizations where organization_id <> $1::uuid',
    [organization],
  );
  const foreign = await server.database.as(others[0]?.id as string).pool.query('select text from marks');
  expect(foreign.rows).toEqual([]);
});
