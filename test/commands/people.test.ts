import { Writable } from 'node:stream';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKey, rotateKey } from '../../src/auth/keys.ts';
import { authLimits } from '../../src/auth/limits.ts';
import { findIdentity } from '../../src/auth/store.ts';
import { catalogueLimits } from '../../src/catalogue/limits.ts';
import { addKeysCommands } from '../../src/commands/keys.ts';
import { createListing } from '../../src/commands/listing.ts';
import { addOrganizationsCommands } from '../../src/commands/organizations.ts';
import { addProjectsCommands } from '../../src/commands/projects.ts';
import { addStreamsCommands } from '../../src/commands/streams.ts';
import type { WithDatabase } from '../../src/commands/surroundings.ts';
import { addUsersCommands } from '../../src/commands/users.ts';
import { everyKey } from '../support/every-key.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
/** Small, so that every list has several pages. */
const limits = { ...authLimits, listedRowsMax: 2 };
const catalogue = { ...catalogueLimits, listPageRowsMax: 2, runsUsual: 2 };

const actor = { kind: 'operator' as const, userName: 'root' };

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

/** Runs a command in this process. @returns what it has printed @throws what it says on standard error */
async function cli(...args: string[]): Promise<string> {
  let said = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      said += chunk;
      done();
    },
  });
  const listing = createListing(stream);
  const withDatabase: WithDatabase = (work) => work(server.database);
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  const print = (line: string) => listing.say(line);
  const keys = {
    withDatabase,
    listing,
    actor,
    print,
    environment: {},
    pageUrl: async () => 'http://localhost',
    limits,
  };
  addKeysCommands(program.command('keys'), keys);
  addOrganizationsCommands(program.command('organizations'), { withDatabase, listing, actor, limits });
  addUsersCommands(program.command('users'), { withDatabase, listing, actor, limits });
  addProjectsCommands(program.command('projects'), { withDatabase, listing, actor, limits: catalogue });
  addStreamsCommands(program.command('streams'), {
    withDatabase,
    listing,
    actor,
    idleSeconds: () => 3_600,
    limits: catalogue,
  });
  await program.parseAsync(args, { from: 'user' });
  return said;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into rows of every shape.
async function json(...args: string[]): Promise<any[]> {
  const said = await cli(...args, '--json');
  return said
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

const opens = async (key: string) => (await findIdentity(server.database, key)) !== undefined;

describe('organizations', () => {
  test('are made once, whatever the case of the name, and listed by name with their people and keys', async () => {
    const [made] = await json('organizations', 'add', 'Ålab');
    expect(made).toEqual({ organization_id: expect.any(String), name: 'Ålab', is_new: true });
    expect(await json('organizations', 'add', ' åLAB ')).toEqual([{ ...made, is_new: false }]);
    expect(await cli('organizations', 'add', 'ÅLAB')).toBe(`${made.organization_id}\n`);
    const listed = await json('organizations', 'list');
    expect(listed.length).toBeGreaterThan(limits.listedRowsMax);
    expect(listed.find(({ name }) => name === 'lab')).toMatchObject({ user_count: 2, open_key_count: 2 });
    expect(listed.find(({ name }) => name === 'Ålab')).toMatchObject({ user_count: 0, open_key_count: 0 });
    const [head, ...lines] = (await cli('organizations', 'list')).trimEnd().split('\n');
    expect(head).toBe('ID\tNAME\tCREATED\tUSERS\tOPEN KEYS');
    expect(lines.map((line) => line.split('\t')[0])).toEqual(listed.map((row) => row.organization_id));
  });

  test('made by many at once under names that fold to one are one', async () => {
    const names = ['Straße 5', 'STRASSE 5', 'strasse 5', 'Strasse 5'];
    const made = (await Promise.all(names.map((name) => json('organizations', 'add', name)))).flat();
    expect(new Set(made.map((one) => one.organization_id)).size).toBe(1);
    expect(made.filter((one) => one.is_new)).toHaveLength(1);
  });

  test('are renamed, to another spelling of the same too, but not to what another one is called', async () => {
    await cli('organizations', 'add', 'before');
    expect(await cli('organizations', 'rename', 'before', 'After')).toBe('The organization is called "After" now.\n');
    expect(await json('organizations', 'rename', 'after', 'AFTER')).toMatchObject([{ name: 'AFTER' }]);
    await expect(cli('organizations', 'rename', 'after', 'LAB')).rejects.toThrow(
      'Another organization is called "LAB".',
    );
    await expect(cli('organizations', 'rename', 'before', 'x')).rejects.toThrow('There is no organization "before".');
    await createKey(server.database, 'default');
    await expect(cli('organizations', 'rename', 'Default', 'x')).rejects.toThrow('keeps its name');
  });

  test.each([
    ['  ', 'blank'],
    ['x'.repeat(256), 'at most 255 characters'],
    ['\ud800', 'must be text'],
  ])('are not called %j', async (name, why) => {
    await expect(cli('organizations', 'add', name)).rejects.toThrow(why);
    await expect(cli('users', 'add', name, '--organization', 'lab')).rejects.toThrow(why);
    await expect(cli('users', 'rename', 'ada', name, '--organization', 'lab')).rejects.toThrow(why);
  });
});

describe('users', () => {
  test('are made, listed page by page and renamed; an organization is not made for them', async () => {
    await cli('organizations', 'add', 'people');
    const of = ['--organization', 'people'];
    const [zoe] = await json('users', 'add', 'zoe', ...of);
    for (const name of ['adam', 'bea', 'carl']) await cli('users', 'add', name, ...of);
    await createKey(server.database, 'people', 'bea');
    const names = async () => (await json('users', 'list', ...of)).map(({ name }) => name);
    expect(await names()).toEqual(['adam', 'bea', 'carl', 'zoe']);
    expect((await json('users', 'list', ...of))[1]).toMatchObject({ open_key_count: 1, last_used_at: null });
    expect(await json('users', 'rename', 'ZOE', 'Abe', ...of)).toEqual([{ user_id: zoe.user_id, name: 'Abe' }]);
    expect(await names()).toEqual(['Abe', 'adam', 'bea', 'carl']);
    await expect(cli('users', 'rename', 'abe', 'Bea', ...of)).rejects.toThrow(
      'Another user of the organization "people" is called "Bea".',
    );
    await expect(cli('users', 'rename', 'zoe', 'x', ...of)).rejects.toThrow(
      'There is no user "zoe" in the organization "people".',
    );
    await expect(cli('users', 'add', 'x', '--organization', 'nobody')).rejects.toThrow(
      'There is no organization "nobody".',
    );
  });
});

describe('keys', () => {
  test('are listed of an organization, a user, and those that open; never the key', async () => {
    const key = await createKey(server.database, 'listed', 'ada');
    for (const user of ['ada', 'bob', 'bob'])
      await createKey(server.database, 'listed', user, { end: { inSeconds: 0 } });
    const all = await json('keys', 'list', '--organization', 'listed');
    expect(all.map(({ user_name, state }) => `${user_name} ${state}`)).toEqual([
      'ada open',
      'ada expired',
      'bob expired',
      'bob expired',
    ]);
    expect(await json('keys', 'list', '--organization', 'listed', '--user', 'bob')).toHaveLength(2);
    expect(await json('keys', 'list', '--organization', 'listed', '--open')).toMatchObject([
      { key_hint: key.slice(0, 15), scopes: ['read', 'write', 'delete', 'admin'], replaced_by_key_id: null },
    ]);
    expect(JSON.stringify(all)).not.toContain(key.slice(16, 30));
    await expect(cli('keys', 'list', '--user', 'bob')).rejects.toThrow('name it with --organization');
    await expect(cli('keys', 'list', '--organization', 'listed', '--user', 'eve')).rejects.toThrow(
      'There is no user "eve"',
    );
  });

  test('of a user are revoked at once, and nobody else loses one; then those of the organization', async () => {
    const [first, second, other] = (await Promise.all(
      ['ada', 'ada', 'bob'].map((user) => createKey(server.database, 'leaving', user)),
    )) as [string, string, string];
    const of = ['keys', 'revoke', '--organization', 'leaving'];
    const said = await cli(...of, '--user', 'ADA');
    expect(said).toMatch(/^(Key \d+ is revoked; running servers refuse it within 5 s\.\n){2}$/);
    expect([await opens(first), await opens(second), await opens(other)]).toEqual([false, false, true]);
    expect(await cli(...of, '--user', 'ada')).toBe('There was no key that still opens.\n');
    expect(await json(...of, '--yes')).toEqual([{ key_id: expect.any(Number), state: 'revoked' }]);
    expect(await opens(other)).toBe(false);
    expect(await opens(server.keys.ada)).toBe(true);
  });

  test('that are being replaced while those of their user are revoked leave no successor that opens', async () => {
    const key = await createKey(server.database, 'racing', 'ada');
    const { keyId } = (await findIdentity(server.database, key)) as { keyId: number };
    const rotating = await server.owner.pool.connect();
    await rotating.query('begin');
    await rotating.query('select from api_keys where key_id = $1::bigint for update', [keyId]);
    const revoking = cli('keys', 'revoke', '--organization', 'racing', '--user', 'ada');
    const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%update api_keys set revoked_at%'`;
    await expect
      .poll(async () => (await server.owner.pool.query(waiting)).rowCount, { interval: 10 })
      .toBeGreaterThan(0);
    await rotating.query(
      `insert into api_keys (organization_id, user_id, public_id, key_hash, key_hint, replaces_key_id)
       select organization_id, user_id, 'successor', sha256('successor'), 'successor', key_id from api_keys where key_id = $1::bigint`,
      [keyId],
    );
    await rotating.query('commit');
    rotating.release();
    expect((await revoking).trimEnd().split('\n')).toHaveLength(2);
    const left = (await everyKey(server.database)).filter((one) => one.organization_name === 'racing');
    expect(left.map(({ state }) => state)).toEqual(['revoked', 'revoked']);
    await expect(rotateKey(server.database, keyId, 60)).rejects.toThrow('There is no key');
  });
});

describe('projects', () => {
  test('are made under either word, listed newest first and deleted', async () => {
    const of = ['--organization', 'projecting'];
    for (const name of ['one', 'two', 'three']) await cli('projects', name === 'two' ? 'add' : 'create', name, ...of);
    const listed = await json('projects', 'list', ...of);
    expect(listed.map(({ name }) => name)).toEqual(['three', 'two', 'one']);
    expect(listed[0]).toMatchObject({ owner_name: 'operator', physical_sample_count: 0 });
    expect(listed[0]).not.toHaveProperty('configuration');
    const { id } = listed[1];
    expect(await json('projects', 'add', 'TWO', ...of)).toMatchObject([{ id, is_new: false }]);
    await expect(cli('projects', 'delete', id, '--organization', 'rival')).rejects.toThrow(`Project ${id} not found`);
    expect(await cli('projects', 'delete', id, ...of)).toBe(`The project ${id} is deleted.\n`);
    expect((await json('projects', 'list', ...of)).map(({ name }) => name)).toEqual(['three', 'one']);
  });
});

describe('streams', () => {
  const of = ['--organization', 'lab'];
  const open = async (stream_name: string, project_id?: string): Promise<string> => {
    const body = { stream_name, points_per_chunk: 2, ...(project_id && { project_id }) };
    const { data_id } = (await server.post('/metrology/stream/initialize', body)).json;
    const series = { timestamps: [1, 2], values: [1, null], units: 'nm' };
    const channels = { b: series, a: series, c: series };
    expect((await server.post('/metrology/stream/chunk/multi', { data_id, chunk_index: 0, channels })).status).toBe(
      201,
    );
    return data_id;
  };
  const ids = async (...args: string[]) =>
    (await json('streams', 'list', ...of, ...args)).map(({ data_id }) => data_id);

  test('are listed newest first, filtered and bounded; shown with their channels', async () => {
    const [project] = await json('projects', 'add', 'GaN', ...of);
    const [first, second, third] = [await open('first'), await open('second', project.id), await open('third one')];
    expect(await ids()).toEqual([third, second, first]);
    expect(await ids('--limit', '1')).toEqual([third]);
    expect(await ids('--project', 'gan')).toEqual([second]);
    expect(await ids('--search', 'THIRD')).toEqual([third]);
    expect(await ids('--status', 'ended')).toEqual([]);
    expect(await ids('--user', 'ada', '--status', 'live')).toHaveLength(3);
    await expect(ids('--project', 'none')).rejects.toThrow('There is no project "none".');
    const [shown] = await json('streams', 'show', second, ...of);
    expect(shown).toMatchObject({ name: 'second', status: 'live', point_count: 6, project: { name: 'GaN' } });
    expect(shown.channels.map(({ channel_name }: { channel_name: string }) => channel_name)).toEqual(['a', 'b', 'c']);
    expect(shown.channels[0]).toMatchObject({ units: 'nm', point_count: 2, null_count: 1, time_min: 1, time_max: 2 });
    expect(await cli('streams', 'show', second, ...of)).toContain('project: GaN\n');
    await expect(cli('streams', 'show', second, '--organization', 'rival')).rejects.toThrow(
      `There is no stream ${second} in this organization, or it is deleted.`,
    );
  });

  test('are deleted, listed as such, restored, and removed for good only when that is said twice', async () => {
    const [one, other] = [await open('one'), await open('other')];
    const unknown = '00000000-0000-4000-8000-000000000001';
    await expect(cli('streams', 'delete', one, '--organization', 'rival')).rejects.toThrow(
      `The stream ${one} is not there`,
    );
    expect(await cli('streams', 'delete', one, other, one, ...of)).toBe(
      `The stream ${one} is deleted.\nThe stream ${other} is deleted.\n`,
    );
    await expect(cli('streams', 'delete', one, unknown, ...of)).rejects.toThrow(
      `The stream ${one} is not there, or was deleted before.\nThe stream ${unknown} is not there, or was deleted before.`,
    );
    expect(await json('streams', 'list', '--deleted', ...of)).toMatchObject([
      { data_id: other, name: 'other', status: 'deleted', point_count: 6, channel_count: 3, user: 'ada' },
      { data_id: one },
    ]);
    expect(await ids()).not.toContain(one);
    expect(await json('streams', 'restore', other, ...of)).toEqual([{ data_id: other, status: 'restored' }]);
    expect(await ids()).toContain(other);
    await expect(cli('streams', 'delete', one, '--permanent', ...of)).rejects.toThrow('Say --yes');
    expect(await json('streams', 'delete', one, '--permanent', '--yes', ...of)).toEqual([
      { data_id: one, status: 'removed' },
    ]);
    expect(await json('streams', 'list', '--deleted', ...of)).toEqual([]);
    await expect(cli('streams', 'restore', one, ...of)).rejects.toThrow('is not there, or is being removed');
  });

  test('of names with commands for a terminal in them are listed without, a line each', async () => {
    const dataId = await open('a\u001b[2Jb\nc\u009bd\u202ee');
    const listed = await cli('streams', 'list', '--limit', '1', ...of);
    expect(listed.split('\n')[1]).toMatch(new RegExp(`^${dataId}\ta\ufffd\\[2Jb\ufffdc\ufffdd\ufffde\t`));
    const said = await cli('streams', 'list', '--limit', '1', '--json', ...of);
    expect(said).toContain('"a\\u001b[2Jb\\nc\\u009bd\\u202ee"');
    expect(JSON.parse(said).name).toBe('a\u001b[2Jb\nc\u009bd\u202ee');
  });
});

test('a list that nobody reads any more ends, and asks the database no further', async () => {
  let asked = 0;
  const stream = new Writable({
    write(_chunk, _encoding, done) {
      done(Object.assign(new Error('EPIPE'), { code: 'EPIPE' }));
    },
  });
  stream.on('error', () => {});
  async function* pages() {
    for (; asked < 1_000; asked++) yield [{ name: 'x'.repeat(20_000) }];
  }
  await createListing(stream).list(pages(), { NAME: ({ name }) => name }, false);
  expect(asked).toBeLessThan(5);
});

test('who made, renamed and revoked what stands in the audit log, once', async () => {
  await cli('organizations', 'add', 'audited');
  await cli('organizations', 'add', 'AUDITED');
  await cli('organizations', 'rename', 'audited', 'Watched');
  const of = ['--organization', 'watched'];
  await cli('users', 'add', 'ada', ...of);
  await cli('users', 'rename', 'ada', 'Ada', ...of);
  await createKey(server.database, 'watched', 'ada', { scopes: ['read'] }, actor);
  await cli('keys', 'revoke', ...of, '--user', 'ada');
  await cli('keys', 'revoke', ...of, '--user', 'ada');
  const { rows } = await server.owner.pool.query(
    `select action, actor, user_name, of_key_id is not null as is_of_key, details->>'name' as name, details->>'was' as was,
            details->>'user_name' as of_user
     from audit_log join organizations using (organization_id) where name = 'Watched' order by happened_at`,
  );
  const byRoot = { actor: 'operator', user_name: 'root', is_of_key: false, was: null, of_user: null };
  expect(rows).toEqual([
    { ...byRoot, action: 'organization.create', name: 'audited' },
    { ...byRoot, action: 'organization.rename', name: 'Watched', was: 'audited' },
    { ...byRoot, action: 'user.create', name: 'ada' },
    { ...byRoot, action: 'user.rename', name: 'Ada', was: 'ada' },
    { ...byRoot, action: 'key.create', name: null, is_of_key: true, of_user: 'Ada' },
    { ...byRoot, action: 'key.revoke', name: null, is_of_key: true, of_user: 'Ada' },
  ]);
});
