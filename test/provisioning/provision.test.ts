// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the environment, as they stand in the file.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Command } from 'commander';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rotateKey } from '../../src/auth/keys.ts';
import { findIdentity, findKeyId, revokeKey } from '../../src/auth/store.ts';
import { createListing } from '../../src/commands/listing.ts';
import { addProvisionCommand } from '../../src/commands/provision.ts';
import { applyProvisioning } from '../../src/provisioning/provision.ts';
import type { WantedKey, WantedOrganization } from '../../src/provisioning/provisioning-file.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
const folder = mkdtempSync(join(tmpdir(), 'metrology-provision-'));
const actor = { kind: 'operator' as const, userName: 'root' };

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(async () => {
  await server?.close();
  rmSync(folder, { recursive: true });
});

let keyCount = 0;
const newKey = (more: Partial<WantedKey> = {}): WantedKey => {
  keyCount++;
  return { user: 'ada', scopes: ['read'], variable: `KEY_${keyCount}`, key: `provisioned-key-${keyCount}`, ...more };
};
const organization = (name: string, more: Partial<WantedOrganization> = {}): WantedOrganization => ({
  ...{ name, users: ['ada'], keys: [], projects: [], ...more },
});
const apply = (wanted: WantedOrganization[], isDryRun = false) =>
  applyProvisioning(server.database, wanted, { actor, now: Date.now, isDryRun });
const becameOf = async (wanted: WantedOrganization) =>
  (await apply([wanted])).find(({ kind }) => kind === 'key')?.became;
const identity = (key: string) => findIdentity(server.database, key);

/** Everything that could change, row by row. The last use of a key is left out: it is written later, in the background. */
async function state(): Promise<unknown> {
  const { rows } = await server.owner.pool.query(`
    select (select json_agg(o order by organization_id) from organizations o) as organizations,
           (select json_agg(u order by user_id) from users u) as users, (select json_agg(to_jsonb(k) - 'last_used_at' order by key_id) from api_keys k) as keys,
           (select json_agg(p order by project_id) from projects p) as projects, (select count(*) from audit_log) as audited`);
  return rows[0];
}

test('a file is applied once; the second time changes nothing, and a dry run neither', async () => {
  const key = newKey({ scopes: ['read', 'write'] });
  const wanted = [organization('Fab', { users: ['ada', 'grace'], keys: [key], projects: ['GaN growth'] })];
  const before = await state();
  const rehearsed = await apply(wanted, true);
  expect(await state()).toEqual(before);
  const done = await apply(wanted);
  expect(done).toEqual(rehearsed);
  expect(done).toEqual(
    [
      ['organization', 'Fab'],
      ['user', 'ada'],
      ['user', 'grace'],
      ['key', key.variable],
      ['user', 'operator'],
      ['project', 'GaN growth'],
    ].map(([kind, name]) => ({ kind, organization: 'Fab', name, became: 'made' })),
  );
  expect(await identity(key.key)).toMatchObject({ scopes: ['read', 'write'] });
  expect((await server.get('/projects/', key.key)).json).toMatchObject([
    { name: 'GaN growth', owner_name: 'operator' },
  ]);
  const after = await state();
  expect(new Set((await apply(wanted)).map(({ became }) => became))).toEqual(new Set(['unchanged']));
  expect(await state()).toEqual(after);
  const { rows } = await server.owner.pool.query(
    `select action, actor, user_name from audit_log join organizations using (organization_id) where name = 'Fab' order by happened_at`,
  );
  const actions = ['organization.create', 'user.create', 'user.create', 'key.import', 'user.create'];
  expect(rows).toEqual(actions.map((action) => ({ action, actor: 'operator', user_name: 'root' })));
});

test('many who apply it at once make everything once', async () => {
  const wanted = [organization('Many', { keys: [newKey()], projects: ['one', 'two'] })];
  const done = (await Promise.all([1, 2, 3, 4].map(() => apply(wanted)))).flat();
  expect(done.filter(({ became }) => became === 'made')).toHaveLength(6);
  expect(done.filter(({ became }) => became === 'unchanged')).toHaveLength(18);
});

test('what is not in the file stays; scopes and end of a key become those of the file', async () => {
  const key = newKey({ scopes: ['read', 'write'] });
  await apply([organization('Changing', { users: ['ada', 'grace'], keys: [key] })]);
  const changed = { ...key, scopes: ['read' as const], expiresAt: '2099-01-31T12:00:00.5+01:00' };
  expect(await becameOf(organization('CHANGING', { keys: [changed] }))).toBe('changed');
  expect(await becameOf(organization('Changing', { keys: [changed] }))).toBe('unchanged');
  // Where the file says no end, the key keeps its own.
  expect(await becameOf(organization('Changing', { keys: [{ ...key, scopes: ['read'] }] }))).toBe('unchanged');
  const { rows } = await server.owner.pool.query(
    `select details ->> 'expires_at' as ends, details -> 'scopes' as scopes, user_name from audit_log where action = 'key.change'`,
  );
  expect(rows).toEqual([
    { ends: expect.stringMatching(/^2099-01-31T11:00:00.5/), scopes: ['read'], user_name: 'root' },
  ]);
  const { rows: users } = await server.owner.pool.query(
    `select users.name from users join organizations o using (organization_id) where o.name = 'Changing' order by 1`,
  );
  expect(users.map(({ name }) => name)).toEqual(['ada', 'grace']);
});

test('a key that was revoked stays so, one that was rotated ends as it would, one that has expired is not stored', async () => {
  const [revoked, rotated] = [newKey(), newKey()];
  await apply([organization('Ends', { keys: [revoked, rotated] })]);
  await revokeKey(server.database, (await findKeyId(server.database, revoked.key)) as number);
  await rotateKey(server.database, (await findKeyId(server.database, rotated.key)) as number, 60);
  const expired = newKey({ expiresAt: '2020-01-31T00:00:00Z' });
  const before = await state();
  const all: WantedKey[] = [
    { ...revoked, scopes: ['read', 'write'] },
    { ...rotated, expiresAt: '2099-01-31T00:00:00Z' },
    expired,
  ];
  const done = await apply([organization('Ends', { keys: all })]);
  expect(done.filter(({ kind }) => kind === 'key').map(({ became }) => became)).toEqual([
    'revoked',
    'rotated',
    'expired',
  ]);
  expect(await state()).toEqual(before);
  expect(await identity(revoked.key)).toBeUndefined();
});

test('a key that is stored for somebody else ends all of it, and nothing is changed', async () => {
  const before = await state();
  const key = newKey({ key: server.keys.rival, variable: 'RIVAL' });
  const failing = apply([organization('New one', { projects: ['x'] }), organization('lab', { keys: [key] })]);
  await expect(failing).rejects.toThrow(
    /^The key of RIVAL is stored for the user "\w+" of the organization "rival"; the file has it for "ada" of "lab". Nothing was changed.$/,
  );
  expect(await state()).toEqual(before);
  // The connection is as good as before.
  expect((await apply([organization('New one')])).map(({ became }) => became)).toEqual(['made', 'made']);
});

test('the command says what it makes, as text and as JSON', async () => {
  const path = join(folder, 'lab.yaml');
  const text =
    'organizations:\n  - name: by command\n    users: [ada]\n    keys:\n      - {user: ada, scopes: [read], key: "${COMMAND_KEY}"}\n';
  writeFileSync(path, text);
  const cli = async (...args: string[]) => {
    let said = '';
    const stream = new Writable({
      write(chunk, _encoding, done) {
        said += chunk;
        done();
      },
    });
    const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
    addProvisionCommand(program.command('provision'), {
      ...{ listing: createListing(stream), actor, environment: { COMMAND_KEY: 'a-key-by-the-command' } },
      withDatabase: (work) => work(server.database),
    });
    await program.parseAsync(['provision', path, ...args], { from: 'user' });
    return said;
  };
  const lines = [
    'by command: organization "by command" is made.',
    'by command: user "ada" is made.',
    'by command: key COMMAND_KEY is made.',
  ].join('\n');
  const dry = 'Made: 3. Changed: 0. Left as they were: 0. It was a dry run: nothing was changed.';
  expect(await cli('--dry-run')).toBe(`${lines}\n${dry}\n`);
  expect(await cli()).toBe(`${lines}\nMade: 3. Changed: 0. Left as they were: 0.\n`);
  expect(await cli()).toBe('Made: 0. Changed: 0. Left as they were: 3.\n');
  const last = (await cli('--json')).trimEnd().split('\n').at(-1) as string;
  expect(JSON.parse(last)).toEqual({
    ...{ kind: 'key', organization: 'by command', name: 'COMMAND_KEY', became: 'unchanged', is_dry_run: false },
  });
});
