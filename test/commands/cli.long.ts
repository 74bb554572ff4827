import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { newApiKey } from '../../src/auth/api-key.ts';
import { authLimits } from '../../src/auth/limits.ts';
import { ConfigSchema } from '../../src/config.ts';
import { runningEmbeddedPostgres } from '../../src/database/embedded.ts';
import { pointsOfChunk } from '../../src/database/stored-series.ts';
import { storeAsSent } from '../support/as-sent.ts';
import { buildServer, run, type Server, serve } from '../support/built-server.ts';

let built: Awaited<ReturnType<typeof buildServer>>;
let dataDir: string;
let server: Server | undefined;
let key: string;

beforeAll(async () => {
  built = await buildServer();
  dataDir = await mkdtemp(join(tmpdir(), 'metrology-cli-'));
});
afterAll(async () => {
  server?.child.kill('SIGTERM');
  await server?.exit();
  await built?.remove();
  if (dataDir) await rm(dataDir, { recursive: true, force: true });
  if (dataDir) await rm(`${dataDir}.yaml`, { force: true });
});

async function cli(...args: string[]) {
  const program = run(built.folder, 'commands/cli.js', args, { DATA_DIR: dataDir });
  const { code } = await program.exit();
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

async function get(path: string, withKey = key) {
  const answer = await fetch(`${server?.endpoint}${path}`, { headers: { 'x-api-key': withKey } });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown>[] };
}

/** The fields of each line of `keys list`, by their headings. */
function keyTable(stdout: string): Record<string, string>[] {
  const [head, ...lines] = stdout.trimEnd().split('\n');
  const names = head?.split('\t') ?? [];
  return lines.map((line) => Object.fromEntries(line.split('\t').map((text, i) => [names[i] ?? i, text])));
}

describe('without a database', () => {
  test('--help lists every command and every setting with its default', async () => {
    const { code, stdout } = await cli('--help');
    expect(code).toBe(0);
    for (const command of [
      'serve',
      'migrate',
      'verify',
      'doctor',
      'repack',
      'backup',
      'restore',
      'keys',
      'audit',
      'organizations',
      'users',
      'provision',
      'sql-readers',
      'projects',
      'streams',
      'instruments',
      'demo',
      'openapi',
    ]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
    }
    for (const [name, { default: fallback }] of Object.entries(ConfigSchema.properties)) {
      const line = stdout.split('\n').find((one) => one.startsWith(`  ${name} `));
      expect(line, name).toBeDefined();
      if (fallback !== undefined) expect(line).toContain(`(default ${fallback})`);
    }
    const keys = await cli('keys', '--help');
    for (const command of ['create', 'import', 'list', 'rotate', 'revoke'])
      expect(keys.stdout).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
  });

  test('--version is that of the package, and the commit of the build, which the compiler alone does not know', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await cli('--version')).toMatchObject({ code: 0, stdout: `${version} (commit unknown)\n` });
  });

  test.concurrent.each([
    [['nonsense'], /unknown command 'nonsense'/],
    [['keys', 'destroy'], /unknown command 'destroy'/],
    [['keys', 'create'], /--organization/],
    [['keys', 'revoke', 'one'], /whole number/],
    [['keys', 'create', '--organization', 'lab', '--scopes', 'read,root'], /Scopes are read, write, delete, admin/],
    [['keys', 'create', '--organization', 'lab', '--expires-in', '90'], /30m, 24h, 90d or 12w, at most 3650d/],
    [['keys', 'create', '--organization', 'lab', '--expires-in', '3651d'], /at most 3650d/],
    [['keys', 'create', '--organization', 'lab', '--expires-at', '2001-01-01'], /time to come/],
    [['keys', 'import', '--organization', 'lab', 'a-key-as-an-argument'], /too many arguments/],
    [['keys', 'rotate', '1', '--overlap', 'long'], /30m, 24h/],
    [['instruments', 'create', 'MBE 1', '--type', 'steam'], /Allowed choices/],
    [['streams', 'show', 'a-name'], /an id such as/],
    [['streams', 'list', '--limit', '0'], /whole number of at least 1/],
    [['streams', 'list', '--deleted', '--status', 'live'], /cannot be used with option/],
    [['serve', '--fast'], /unknown option/],
  ])('%j is refused with help, and touches nothing', async (args, sentence) => {
    const { code, stdout, stderr } = await cli(...args);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(sentence);
    expect(stderr).toContain('Usage: metrology-server');
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(stdout).toBe('');
    expect(await readdir(dataDir)).toEqual([]);
  });

  test.each([
    [['keys', 'revoke'], 'Name either the number of a key, or --organization, with --user for one person of it.'],
    [['keys', 'revoke', '1', '--organization', 'lab'], 'Name either the number of a key'],
    [['keys', 'revoke', '--organization', 'lab'], 'would revoke every key of the organization "lab". Say --yes'],
    [['streams', 'delete', '--permanent', randomUUID()], 'Say --yes beside --permanent.'],
  ])('%j is refused in a sentence, and touches nothing', async (args, sentence) => {
    const { code, stdout, stderr } = await cli(...args);
    expect([code, stdout, stderr.split('\n').length]).toEqual([1, '', 2]);
    expect(stderr).toContain(sentence);
    expect(await readdir(dataDir)).toEqual([]);
  });

  test('serve and provision refuse a wrong file of provisioning with its line, and touch nothing', async () => {
    const file = `${dataDir}.yaml`;
    await writeFile(file, 'organizations:\n  - name: lab\n    user: [ada]\n');
    const started = run(built.folder, 'commands/cli.js', ['serve'], { DATA_DIR: dataDir, PROVISIONING_FILE: file });
    expect(await started.exit()).toMatchObject({ code: 1 });
    const sentence = `${file}:3: organizations[0].user is not known; there are name, users, keys, projects\n`;
    expect(started.stderr()).toBe(sentence);
    expect(await cli('provision', file)).toMatchObject({ code: 1, stdout: '', stderr: sentence });
    expect(await readdir(dataDir)).toEqual([]);
  });

  test.each([[[]], [['keys']], [['users']]])('%j alone shows help and fails', async (args) => {
    const { code, stderr } = await cli(...args);
    expect(code).not.toBe(0);
    expect(stderr).toContain('Usage: metrology-server');
  });

  test('openapi prints the document and ends', async () => {
    const { code, stdout } = await cli('openapi');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^openapi: 3\.1\.0\n/);
    expect(await readdir(dataDir)).toEqual([]);
  });
});

describe.sequential('with a database', { timeout: 60_000 }, () => {
  test('keys create, with no server running, prints the key alone', async () => {
    const { code, stdout } = await cli('keys', 'create', '--organization', 'default', '--user', 'ada');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^msk1_\w{10}_\w{43}_\w{6}\n$/);
    key = stdout.trim();
  });

  test('migrate brings it up to date and stops', async () => {
    expect(await cli('migrate')).toMatchObject({ code: 0, stdout: 'The database is up to date.\n' });
  });

  test('beside a running server a key opens at once, and is refused soon after it was revoked', async () => {
    const file = `${dataDir}.yaml`;
    await writeFile(
      file,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of the environment, as it stands in the file.
      'organizations: [{name: Provisioned, users: [ada], keys: [{user: ada, scopes: [read], key: "${CLI_KEY}"}]}]',
    );
    const provisioning = { PROVISIONING_FILE: file, CLI_KEY: 'a-provisioned-key' };
    server = await serve(built.folder, { DATA_DIR: dataDir, LOG_LEVEL: 'trace', ...provisioning });
    expect((await get('/data_entries/', provisioning.CLI_KEY)).status).toBe(200);
    expect(server.stderr()).toMatch(/"made":3,"changed":0,"unchanged":0,"msg":"provisioned"/);
    expect((await cli('audit', '--action', 'key.import', '--json')).stdout).toMatch(/"actor":"server"/);
    expect(server.stdout()).toContain('API key  made earlier');
    expect((await get('/data_entries/')).status).toBe(200);

    const second = (await cli('keys', 'create', '--organization', 'rival', '--expires-in', '90d')).stdout.trim();
    expect((await get('/data_entries/', second)).status).toBe(200);
    const { stdout } = await cli('keys', 'list');
    const table = keyTable(stdout).filter(({ ORGANIZATION }) => ORGANIZATION !== 'Provisioned');
    expect(table).toHaveLength(2);
    expect(table[0]).toMatchObject({
      ORGANIZATION: 'default',
      USER: 'ada',
      REVOKED: '-',
      'BEGINS WITH': key.slice(0, 15),
      EXPIRES: '-',
      'LAST USED': expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
    expect(table[1]).toMatchObject({ ORGANIZATION: 'rival', USER: 'operator', SCOPES: 'read,write,delete' });
    expect(Date.parse(table[1]?.EXPIRES as string) - Date.now()).toBeCloseTo(90 * 86_400_000, -6);
    expect(stdout).not.toContain(key.slice(16, 26));

    const id = table[1]?.ID as string;
    expect(await cli('keys', 'revoke', id)).toMatchObject({
      code: 0,
      stdout: `Key ${id} is revoked; running servers refuse it within 5 s.\n`,
    });
    const isRefused = async () => (await get('/data_entries/', second)).status === 401;
    await expect.poll(isRefused, { timeout: authLimits.keyCacheMsMax + 1_000, interval: 100 }).toBe(true);
    expect(keyTable((await cli('keys', 'list')).stdout).find(({ ID }) => ID === id)?.REVOKED).toMatch(
      /^\d{4}-\d\d-\d\dT/,
    );
    const again = await cli('keys', 'revoke', id);
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toBe(`There is no key ${id} that still opens.\n`);
    expect((await get('/data_entries/')).status).toBe(200);
  });

  test('keys import takes a key from standard input, a file or the environment, keys rotate gives it a successor', async () => {
    const [piped, filed, named] = ['a-key-from-a-pipe', 'a-key-from-a-file', 'a-key-from-a-variable'];
    const keyFile = join(dataDir, 'key-to-import');
    await writeFile(keyFile, `${filed}\n`);
    const place = ['--organization', 'default'];
    const ways = [
      run(
        built.folder,
        'commands/cli.js',
        ['keys', 'import', ...place, '--scopes', 'read'],
        { DATA_DIR: dataDir },
        { input: `${piped}\n` },
      ),
      run(built.folder, 'commands/cli.js', ['keys', 'import', ...place, '--from-file', keyFile], { DATA_DIR: dataDir }),
      run(built.folder, 'commands/cli.js', ['keys', 'import', ...place, '--from-env', 'K'], {
        DATA_DIR: dataDir,
        K: named,
      }),
    ];
    const ids: string[] = [];
    for (const way of ways) {
      expect((await way.exit()).code, way.stderr()).toBe(0);
      ids.push(/^Key (\d+) is stored\.\n$/.exec(way.stdout())?.[1] as string);
    }
    for (const one of [piped, filed, named]) expect((await get('/tags/', one)).status).toBe(200);

    const rotated = await cli('keys', 'rotate', ids[0] as string, '--overlap', '2h');
    expect(rotated.stdout).toMatch(/^msk1_\w{10}_\w{43}_\w{6}\n$/);
    expect(rotated.stderr).toMatch(/^This is key \d+\. Key \d+ still opens until \d{4}-\d\d-\d\dT\S+\.\n$/);
    for (const one of [piped, rotated.stdout.trim()]) expect((await get('/tags/', one)).status).toBe(200);
    const { stdout } = await cli('keys', 'list');
    expect(keyTable(stdout).at(-1)).toMatchObject({ REPLACES: ids[0], SCOPES: 'read' });
    const texts = [stdout, rotated.stderr, ...ways.flatMap((way) => [way.stdout(), way.stderr()])].join();
    for (const one of [piped, filed, named]) expect(texts).not.toContain(one.slice(0, 12));
    expect(texts).not.toContain(rotated.stdout.slice(16, 26));
  });

  test('no key is in anything that the running server has said, nor in its metrics', async () => {
    const bad = [`${key}x`, key.slice(0, -1), newApiKey(), 'a-key-that-nobody-has'];
    for (const one of [key, ...bad]) {
      await get('/data_entries/', one);
      await get('/nowhere/', one);
      await fetch(`${server?.endpoint}/tags/`, { method: 'POST', headers: { 'x-api-key': one }, body: 'x' });
    }
    const created = await cli('keys', 'create', '--organization', 'ops', '--scopes', 'admin');
    const admin = created.stdout.trim();
    const headers = { 'x-api-key': admin };
    const metrics = await (await fetch(`${server?.endpoint}/metrics`, { headers })).text();
    expect(metrics).toContain('metrology_http_request_duration_seconds');
    expect(server?.stderr()).toContain('refused');
    const said = [server?.stdout(), server?.stderr(), metrics].join();
    const secrets = [key, admin, ...bad].map((one) => (one.startsWith('msk1_') ? one.slice(16, 26) : one));
    for (const secret of [...secrets, 'a-key-from-a-']) expect(said).not.toContain(secret);
  });

  test('projects create and instruments create print the id that the server then shows', async () => {
    const project = await cli('projects', 'create', 'Quantum wells');
    expect(project).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[0-9a-f-]{36}\n$/) });
    expect((await get('/projects/')).json).toContainEqual(
      expect.objectContaining({ id: project.stdout.trim(), name: 'Quantum wells' }),
    );
    const instrument = await cli(
      'instruments',
      'create',
      'MBE 1',
      '--type',
      'mbe',
      '--model',
      'Veeco',
      '--serial',
      '7',
    );
    expect(instrument).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\n$/) });
    const opened = await fetch(`${server?.endpoint}/tool-state/stream/initialize`, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: JSON.stringify({ points_per_chunk: 1, synth_source_id: Number(instrument.stdout) }),
    });
    expect(opened.status).toBe(200);
    expect((await get('/data_entries/')).json[0]).toMatchObject({ source_name: expect.stringMatching(/MBE 1|Veeco/) });
  });

  test('organizations, users and streams are listed in lines and in JSON; who reads no further ends the list', async () => {
    const lab = await cli('organizations', 'add', 'Lab 2', '--json');
    const { organization_id } = JSON.parse(lab.stdout);
    expect(JSON.parse(lab.stdout)).toEqual({ organization_id, name: 'Lab 2', is_new: true });
    expect((await cli('organizations', 'add', 'LAB 2')).stdout).toBe(`${organization_id}\n`);
    expect((await cli('users', 'add', 'bob', '--organization', 'Lab 2')).stdout).toMatch(/^[0-9a-f-]{36}\n$/);
    const users = await cli('users', 'list', '--organization', 'Lab 2', '--json');
    expect(
      users.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([{ name: 'bob', open_key_count: 0 }]);
    expect((await cli('organizations', 'list')).stdout).toMatch(/^ID\tNAME\tCREATED\tUSERS\tOPEN KEYS\n/);
    const listed = await cli('streams', 'list', '--limit', '1');
    expect(listed.stdout).toMatch(/^ID\tNAME\tSTATUS\tCREATED\t.*\n[0-9a-f-]{36}\t.*\n$/);
    const early = run(built.folder, 'commands/cli.js', ['organizations', 'list'], { DATA_DIR: dataDir });
    early.child.stdout?.destroy();
    expect(await early.exit()).toMatchObject({ code: 0 });
    expect(early.stderr()).toBe('');
    const nobody = await cli('streams', 'list', '--organization', 'nobody');
    expect(nobody).toMatchObject({ code: 1, stdout: '', stderr: 'There is no organization "nobody".\n' });
  });

  test('sql-readers create prints an address that opens, list shows the role, drop ends it', async () => {
    const created = await cli('sql-readers', 'create', '--organization', 'default');
    expect(created.stderr).toBe('');
    const url = new URL(created.stdout.trimEnd());
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    expect((await client.query('select count(*) from points')).rows).toHaveLength(1);
    await client.end();
    expect((await cli('sql-readers', 'list')).stdout).toContain(`${url.username}\tdefault\t20`);
    expect((await cli('sql-readers', 'drop', url.username)).stdout).toBe(`The role ${url.username} is gone.\n`);
    const again = await cli('sql-readers', 'drop', url.username);
    expect([again.code, again.stderr]).toEqual([1, `There is no SQL reader "${url.username}".\n`]);
    const nobody = await cli('sql-readers', 'create', '--organization', 'nobody');
    expect([nobody.code, nobody.stderr]).toEqual([1, 'There is no organization "nobody".\n']);
  });

  test('doctor gives a finding for each check, for people and as JSON, and ends with what is worst', async () => {
    expect((await cli('migrate')).code).toBe(0);
    const told = await cli('doctor', '--json');
    const findings = JSON.parse(told.stdout) as { check: string; state: string; says: string }[];
    expect(findings).toHaveLength(17);
    const states = findings.map(({ state }) => state);
    expect(told.code, told.stdout).toBe(states.includes('fault') ? 2 : states.includes('warning') ? 1 : 0);
    const found = (name: string) => findings.find(({ check }) => check === name);
    for (const name of ['versions', 'standing', 'durability', 'login', 'pooler']) expect(found(name)?.state).toBe('ok');
    expect(found('disk')?.says).toMatch(/GiB are free/);
    expect((await cli('doctor')).stdout).toMatch(/^ok +settings +All are valid\.\n[\s\S]*\d+ fine, /);
  });

  test('doctor says what keeps it from looking, as a fault', async () => {
    const program = run(built.folder, 'commands/cli.js', ['doctor'], { DATA_DIR: dataDir, PORT: 'many' });
    expect((await program.exit()).code).toBe(2);
    expect(program.stdout()).toMatch(/^FAULT +settings +PORT: /);
    const away = run(built.folder, 'commands/cli.js', ['doctor'], { DATABASE_URL: 'postgresql://127.0.0.1:1/none' });
    expect((await away.exit()).code).toBe(2);
    expect(away.stdout()).toMatch(/^FAULT +database +.*ECONNREFUSED/);
    const none = join(dataDir, 'none');
    const first = run(built.folder, 'commands/cli.js', ['doctor'], { DATA_DIR: none });
    expect((await first.exit()).code).toBe(2);
    expect(first.stdout()).toMatch(/^FAULT +database +There is no database in DATA_DIR/);
    expect(await readdir(dataDir)).not.toContain('none');
  });

  test('verify counts what it has compared, and ends with 1 and a name when something differs', async () => {
    const headers = { 'x-api-key': key, 'content-type': 'application/json' };
    const post = (path: string, body: object) =>
      fetch(`${server?.endpoint}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    const opened = await post('/tool-state/stream/initialize', { points_per_chunk: 1 });
    const { data_id } = (await opened.json()) as { data_id: string };
    const chunk = { data_id, chunk_index: 4, channel_name: 'p', timestamps: [1], values: [2] };
    expect((await post('/tool-state/stream/chunk', chunk)).status).toBe(201);
    expect(await cli('verify')).toEqual({
      code: 0,
      stdout: '1 chunks, 0 differ\n0 replaced contents, 0 differ\n1 channels, 0 differ\n0 overviews, 0 differ\n',
      stderr: '',
    });
    const database = new pg.Client({ connectionString: await runningEmbeddedPostgres(dataDir) });
    await database.connect();
    await database.query(`update chunks set "values" = '{2.5}'`);
    await database.end();
    const { code, stdout } = await cli('verify');
    expect(code).toBe(1);
    expect(stdout).toBe(
      `stream ${data_id}, channel "p", chunk 4: its hash is not that of its content\n` +
        '1 chunks, 1 differ\n0 replaced contents, 0 differ\n1 channels, 0 differ\n0 overviews, 0 differ\n',
    );
    const repaired = await cli('verify', '--repair');
    expect([repaired.code, repaired.stdout]).toEqual([
      1,
      `${stdout}0 overviews were made that differed or were missing\n` +
        'Chunks, replaced contents and channels that differ are not repaired: nothing here tells what they were.\n',
    ]);
  });

  test('repack packs what was stored as it was sent, says what that has saved, and ends with 1 where something is wrong', async () => {
    const help = await cli('repack', '--help');
    expect(help.stdout).toMatch(/--limit <chunks> +pack so many chunks at most/);
    for (const wrong of ['0', '-1', '1.5', 'all', '']) {
      const { code, stderr } = await cli('repack', '--limit', wrong);
      expect([wrong, code, stderr.split('\n')[0]]).toEqual([
        ...[wrong, 1],
        `error: option '--limit <chunks>' argument '${wrong}' is invalid. It must be a whole number of at least 1.`,
      ]);
    }
    const headers = { 'x-api-key': key, 'content-type': 'application/json' };
    const post = (path: string, body: object) =>
      fetch(`${server?.endpoint}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    const { data_id } = (await (await post('/tool-state/stream/initialize', { points_per_chunk: 100 })).json()) as {
      data_id: string;
    };
    const timestamps = Array.from({ length: 100 }, (_, i) => 1_700_000_000 + i);
    const values = timestamps.map((_, i) => ((i * 37) % 1_000) / 1_000);
    for (let chunk_index = 0; chunk_index < 3; chunk_index++) {
      const chunk = { data_id, chunk_index, channel_name: 'repacked', timestamps, values };
      expect((await post('/tool-state/stream/chunk', chunk)).status).toBe(201);
    }
    const pool = new pg.Pool({ connectionString: await runningEmbeddedPostgres(dataDir) });
    pool.on('error', () => {});
    onTestFinished(() => pool.end());
    await storeAsSent({ pool });
    await pool.query(`update chunks set "values" = '{2}' where cardinality("values") = 1`);
    const limited = await cli('repack', '--limit', '2');
    expect(limited.code).toBe(0);
    expect(limited.stdout).toContain('Stopped before the end: run this again to go on.');
    await pool.query(`update chunks set "values"[1] = 9 where chunk_index = 2 and data_id = $1::uuid`, [data_id]);
    const { code, stdout } = await cli('repack');
    expect(code).toBe(1);
    expect(stdout).toContain(`stream ${data_id}, channel "repacked", chunk 2: its hash is not that of its content\n`);
    expect(stdout).toMatch(/^\d+ chunks and replaced contents looked at, 1 packed, \d+ with a series .*, 1 left/m);
    expect(stdout).toMatch(/^Their points took 0\.0 MB and take 0\.0 MB\.$/m);
    expect(stdout).toMatch(
      /^Tables and indexes take \d\.\d MB as the file system sees it; before it was \d\.\d MB\.$/m,
    );

    // A channel that somebody holds is tried again for seconds; Ctrl-C ends that in order.
    const stopWhileItWaits = async (signal: NodeJS.Signals) => {
      await storeAsSent({ pool });
      const holder = await pool.connect();
      await holder.query(`begin; select from channels for no key update`);
      const held = run(built.folder, 'commands/cli.js', ['repack'], { DATA_DIR: dataDir });
      const waiting = () =>
        pool.query(`select from pg_stat_activity where wait_event_type = 'Lock' and query like '%no key update'`);
      await expect.poll(async () => (await waiting()).rowCount, { timeout: 60_000, interval: 10 }).toBeGreaterThan(0);
      held.child.kill(signal);
      const { code: stopped } = await held.exit();
      await holder.query('rollback');
      holder.release();
      return { code: stopped, stdout: held.stdout(), stderr: held.stderr() };
    };
    const interrupted = await stopWhileItWaits('SIGINT');
    expect([interrupted.code, interrupted.stderr]).toEqual([130, '']);
    expect(interrupted.stdout).toContain('Stopped before the end: run this again to go on.\n');

    // What is killed leaves whole rows, and another run does the rest.
    const content = async () =>
      (
        await pool.query(
          `select k.data_id, k.channel_id, k.chunk_index, p.* from chunks k cross join lateral ${pointsOfChunk('k')} p order by 1, 2, 3, 4`,
        )
      ).rows;
    const before = await content();
    await stopWhileItWaits('SIGKILL');
    expect((await cli('repack')).stdout).toMatch(/looked at, [1-9]\d* packed, \d+ with a series .*, 1 left/);
    expect((await cli('repack')).stdout).toMatch(/looked at, 0 packed, \d+ with a series .*, 1 left/);
    expect(await content()).toEqual(before);
  });

  test('verify --repair makes overviews that are missing or differ, and then all is well', async () => {
    const headers = { 'x-api-key': key, 'content-type': 'application/json' };
    const post = (path: string, body: object) =>
      fetch(`${server?.endpoint}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    const database = new pg.Client({ connectionString: await runningEmbeddedPostgres(dataDir) });
    await database.connect();
    // What the tests before have damaged.
    await database.query('truncate streams cascade; truncate chunks; truncate chunk_revisions');
    const opened = await post('/tool-state/stream/initialize', { points_per_chunk: 1 });
    const { data_id } = (await opened.json()) as { data_id: string };
    for (let chunk_index = 0; chunk_index < 64; chunk_index++) {
      const chunk = { data_id, chunk_index, channel_name: 'p', timestamps: [chunk_index], values: [chunk_index / 7] };
      expect((await post('/tool-state/stream/chunk', chunk)).status).toBe(201);
    }
    // The server makes it behind the last of them.
    await expect
      .poll(async () => (await database.query('delete from overviews')).rowCount, { timeout: 10_000 })
      .toBe(1);
    const counted = (await cli('verify')).stdout;
    expect(counted).toMatch(/\n0 overviews, 0 differ\n$/);
    const made = await cli('verify', '--repair');
    expect([made.code, made.stdout]).toEqual([0, `${counted}1 overviews were made that differed or were missing\n`]);
    await database.query('update overviews set value_sum = 0');
    await database.end();
    const difference = `stream ${data_id}, channel "p", overview of chunks 0 to 63: its statistics are not those of its chunks\n`;
    const found = await cli('verify');
    expect(found.code).toBe(1);
    expect(found.stdout).toContain(difference);
    expect(found.stdout).toContain('1 overviews, 1 differ\n"metrology-server verify --repair" makes overviews anew');
    const repaired = await cli('verify', '--repair');
    expect(repaired.code).toBe(0);
    expect(repaired.stdout).toContain('1 overviews, 1 differ\n1 overviews were made that differed or were missing\n');
    expect(await cli('verify')).toMatchObject({ code: 0, stdout: expect.stringContaining('1 overviews, 0 differ\n') });
  });
});
