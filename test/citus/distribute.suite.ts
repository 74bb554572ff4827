import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type OwnerDatabase, openAsOwner } from '../../src/database/database.ts';
import { clusterTables, isDistributed } from '../../src/database/distribution.ts';
import { admitRoles } from '../../src/distribution/admit-roles.ts';
import { distribute, freeMoved } from '../../src/distribution/distribute.ts';
import { planDistribution } from '../../src/distribution/plan.ts';
import { contentOf, fill } from '../backups/support/content.ts';
import { administer, joinWorkers, urlOfDatabase } from '../support/global-setup.ts';
import { copyDatabase, serveTestDatabase } from '../support/test-server.ts';
import { traitsOf, traitsOfShards } from './support/traits.ts';

/* The command `distribute`, on databases that were made and filled before they knew a cluster. */

const owners: OwnerDatabase[] = [];
afterAll(() => Promise.all(owners.map((owner) => owner.close())));

function ownerOf(url: string): OwnerDatabase {
  const owner = openAsOwner(url, { onIdleError: () => {}, statementMsMax: 0 });
  owners.push(owner);
  return owner;
}

const nameOf = (url: string) => new URL(url).pathname.slice(1);
const joinNodes = (url: string) => joinWorkers(inject('adminUrl'), inject('workerUrls'), nameOf(url));

async function filledDatabase(): Promise<{ url: string; owner: OwnerDatabase }> {
  const url = await copyDatabase(inject('templateName'));
  const server = await serveTestDatabase(url);
  await fill(server);
  await server.close();
  return { url, owner: ownerOf(url) };
}

const bytesHere = async ({ pool }: OwnerDatabase) =>
  (
    await pool.query<{ bytes: number }>(
      'select sum(pg_relation_size(name::regclass))::bigint as bytes from unnest($1::text[]) name',
      [clusterTables.distributed],
    )
  ).rows[0]?.bytes;

describe('a filled database', () => {
  let url: string;
  let owner: OwnerDatabase;
  let before: Record<string, string>;
  beforeAll(async () => {
    ({ url, owner } = await filledDatabase());
    before = await contentOf(owner.pool);
    await joinNodes(url);
  });

  test('is planned without a change: what moves, how many rows, and where to', async () => {
    const { isDone, nodes, tables } = await planDistribution(owner);
    expect(isDone).toBe(false);
    expect(nodes.length).toBe(inject('workerUrls').length);
    expect(tables.find(({ name }) => name === 'chunks')).toMatchObject({ becomes: 'distributed', rows: 77 });
    expect(tables.find(({ name }) => name === 'tags')).toMatchObject({ becomes: 'reference', rows: 3 });
    expect(await isDistributed(owner.pool)).toBe(false);
    expect(await contentOf(owner.pool)).toEqual(before);
  });

  test('is left as it was by a run that is killed, wherever that is', { timeout: 240_000 }, async () => {
    const lines: string[] = [];
    for (const at of [0, 3, 7, 10, 13]) {
      let seen = 0;
      const kill = (line: string) => {
        lines.push(line);
        if (seen++ !== at) return;
        void administer(
          inject('adminUrl'),
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = '${nameOf(url)}' and application_name = 'metrology-server'`,
        );
      };
      await expect(distribute(owner, kill)).rejects.toThrow(/terminat|connection/i);
      expect(seen).toBeGreaterThan(at);
      expect(await isDistributed(owner.pool)).toBe(false);
      expect(await contentOf(owner.pool)).toEqual(before);
    }
    expect(lines).toContain('Moves overviews to the node of each stream.');
  });

  test('is distributed with all its rows, and the coordinator keeps its copies until they are freed', async () => {
    await distribute(owner, () => {});
    expect(await isDistributed(owner.pool)).toBe(true);
    expect(await bytesHere(owner)).toBeGreaterThan(0);
    expect(await contentOf(owner.pool)).toEqual(before);
    expect(await planDistribution(owner)).toMatchObject({ isDone: true });
    const freed: string[] = [];
    await freeMoved(owner, (line) => freed.push(line));
    expect(freed.length).toBe(clusterTables.distributed.length);
    expect(await bytesHere(owner)).toBe(0);
    expect(await contentOf(owner.pool)).toEqual(before);
    await freeMoved(owner, () => expect.unreachable());
  });

  test('has its storage, statistics, fill factors and policies on every shard', async () => {
    const [traits, shards] = [await traitsOf(owner.pool), await traitsOfShards(url)];
    for (const name of [...clusterTables.distributed, ...clusterTables.reference])
      expect([name, [...new Set(shards[name])]]).toEqual([name, [traits[name]]]);
  });
});

describe('is refused with a sentence before anything changes', () => {
  let url: string;
  let owner: OwnerDatabase;
  beforeAll(async () => {
    ({ url, owner } = await filledDatabase());
  });
  const refusal = async () => {
    const before = await contentOf(owner.pool);
    const sentence = await planDistribution(owner).then(
      () => 'none',
      (error: Error) => error.message,
    );
    expect(await isDistributed(owner.pool)).toBe(false);
    expect(await contentOf(owner.pool)).toEqual(before);
    return sentence;
  };
  /** Changes something, asks, and takes the change back. */
  const refusalWhile = async (change: string, back: string) => {
    await owner.pool.query(change);
    return refusal().finally(() => owner.pool.query(back));
  };

  test('no extension, no coordinator, no workers', async () => {
    expect(await refusal()).toMatch(/has no extension "citus": run "create extension citus"/);
    await administer(url, 'create extension citus');
    expect(await refusal()).toMatch(/has no workers: add each with "select citus_add_node/);
    await administer(url, 'drop extension citus');
    await joinNodes(url);
    expect(await refusal()).toBe('none');
  });

  test('an old Citus, another one on a worker, and the database of a worker', async () => {
    const set = (version: string) => `update pg_extension set extversion = '${version}' where extname = 'citus'`;
    const { rows } = await owner.pool.query<{ version: string }>(
      `select extversion as version from pg_extension where extname = 'citus'`,
    );
    const back = set(rows[0]?.version as string);
    expect(await refusalWhile(set('11.3-1'), back)).toBe('The database has Citus 11.3-1; Citus 13 or newer is needed.');
    expect(await refusalWhile(set('13.9-1'), back)).toMatch(
      /^The node \S+ has Citus 13\.\S+ and the coordinator 13\.9-1/,
    );
    const worker = ownerOf(urlOfDatabase(inject('workerUrls')[0] as string, nameOf(url)));
    await expect(planDistribution(worker)).rejects.toThrow(/is that of a worker: name the coordinator/);
  });

  test('a node that is away or not in use', async () => {
    const where = 'where groupid = (select max(groupid) from pg_dist_node)';
    const { rows } = await owner.pool.query<{ port: number }>(`select nodeport as port from pg_dist_node ${where}`);
    const port = (to: number) => `update pg_dist_node set nodeport = ${to} ${where}`;
    expect(await refusalWhile(port(1), port(rows[0]?.port as number))).toMatch(/^The node \S+:1 does not answer: /);
    const active = (is: boolean) => `update pg_dist_node set isactive = ${is} ${where}`;
    expect(await refusalWhile(active(false), active(true))).toMatch(/^The cluster does not use \S+: activate/);
  });

  test('servers that are connected', async () => {
    const server = await serveTestDatabase(url);
    expect(await refusal()).toMatch(/^Servers are connected to the database: stop them/);
    await server.close();
    expect(await refusal()).toBe('none');
  });

  test('SQL readers', async () => {
    const add = `insert into sql_readers (role_name, organization_id) select 'lab_reader', organization_id from organizations limit 1`;
    expect(await refusalWhile(add, 'delete from sql_readers')).toMatch(
      /has SQL readers \(lab_reader\), and a cluster serves none/,
    );
  });

  test('a session that uses the tables', async () => {
    const other = await owner.pool.connect();
    await other.query('begin; select from streams');
    await expect(distribute(owner, () => {})).rejects.toThrow(/^Another session uses the tables/);
    await other.query('rollback');
    other.release();
    expect(await isDistributed(owner.pool)).toBe(false);
  });

  test('an owner who may make nothing on a node', async () => {
    const name = `bound_${nameOf(url)}`;
    const all = [inject('adminUrl'), ...inject('workerUrls')];
    for (const one of all)
      await administer(one, `set citus.enable_ddl_propagation = off; create role ${name} login createrole`);
    const bound = new URL(url);
    bound.username = name;
    await expect(planDistribution(ownerOf(bound.href))).rejects.toThrow(
      new RegExp(`the role ${name} may not make roles, or nothing in this database`),
    );
    for (const one of all) await administer(one, `set citus.enable_ddl_propagation = off; drop role ${name}`);
  });

  test('a worker that does not admit the roles of the server', async () => {
    const worker = urlOfDatabase(inject('workerUrls')[0] as string, nameOf(url));
    const here = 'set citus.enable_ddl_propagation = off';
    await administer(worker, `${here}; revoke connect on database ${nameOf(url)} from public`);
    await expect(admitRoles(owner)).rejects.toThrow(/^The node \S+ does not admit the role metrology_api/);
    await expect(distribute(owner, () => expect.unreachable())).rejects.toThrow(/does not admit/);
    expect(await isDistributed(owner.pool)).toBe(false);
    await administer(worker, `${here}; grant connect on database ${nameOf(url)} to public`);
    await admitRoles(owner);
  });
});

test('an empty database is distributed, and a server that was connected to it before says that it has to be restarted', async () => {
  const url = await copyDatabase(inject('templateName'));
  await joinNodes(url);
  const server = await serveTestDatabase(url);
  expect(await server.database.readiness.look()).toBe(undefined);
  await distribute(ownerOf(url), () => {});
  const sentence = 'The database has been distributed since the start of this server: restart the server.';
  expect(await server.database.readiness.look(0)).toBe(sentence);
  const opened = await server.post('/metrology/stream/initialize', { stream_name: 'late', points_per_chunk: 3 });
  expect(opened).toMatchObject({ status: 503, json: { detail: expect.stringContaining(sentence) } });
  await server.close();
  const next = await serveTestDatabase(url);
  expect(await next.database.readiness.look()).toBe(undefined);
  await next.close();
});
