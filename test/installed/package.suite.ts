import { execFile, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readPostmasterFile } from '../../src/database/embedded/processes.ts';
import { isRunning } from '../support/built-server.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));
const { PATH, HOME, LANG } = process.env;
// The project's own .npmrc reaches a test that npm has started by the environment; another folder has another one.
const { npm_config_strict_allow_scripts: _, ...environment } = process.env;
let folder: string;
let checkout: string;
let tarball: string;
let version: string;
const commit = '0123456789abcdef0123456789abcdef01234567';

const npm = (args: string[], cwd: string, more: Record<string, string> = {}) =>
  promisify(execFile)('npm', args, {
    cwd,
    env: { ...environment, npm_config_audit: 'false', ...more },
    maxBuffer: 10_000_000,
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metrology-package-'));
  ({ version } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8')));
  // A copy of the sources, so that the build of the package touches no other run; with a file that an older build left.
  checkout = join(folder, 'checkout');
  await mkdir(join(checkout, 'dist'), { recursive: true });
  await writeFile(join(checkout, 'dist/stale.js'), '');
  for (const name of await readdir(project)) {
    if (['node_modules', 'dist', 'data', '.git'].includes(name)) continue;
    await cp(join(project, name), join(checkout, name), { recursive: true });
  }
  await symlink(join(project, 'node_modules'), join(checkout, 'node_modules'));
  await npm(['run', 'build'], checkout, { BUILD_COMMIT: commit });
  await npm(['pack', '--ignore-scripts', '--pack-destination', folder], checkout);
  tarball = join(folder, `metrology-server-${version}.tgz`);
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

test('holds the program, the migrations, the documents, and nothing else', async () => {
  const { stdout } = await promisify(execFile)('tar', ['-tzf', tarball]);
  const packed = stdout
    .trim()
    .split('\n')
    .map((path) => path.replace(/^package\//, ''));
  const sources = await readdir(join(project, 'src'), { recursive: true });
  const migrations = await readdir(join(project, 'migrations'));
  const expected = [
    ...['package.json', 'README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'openapi.yaml', 'openapi.test.yaml'],
    ...['Dockerfile', 'docker-compose.yml', 'docker-compose.tls.yml', 'docker-compose.citus.yml'],
    ...(await committedBelow('deploy', 'docs', 'examples')),
    ...['client', 'ready-line', 'wire'].map((name) => `dist/testing/${name}.d.ts`),
    // What the bundle of the server for tests is made of, beside its first file.
    ...packed.filter((path) => /^dist\/commands\/test-(?!alone)[a-z-]+\.js$/.test(path)),
    ...migrations.map((name) => `migrations/${name}`),
    'tools/verify_certificate.py',
    'dist/build.json',
    // The files of the page are named by their content; the test of the page looks into them.
    ...packed.filter((path) => /^dist\/page\/(index\.html|[a-z-]+-[A-Z0-9]{8}\.(js|css)(\.(br|gz))?)$/.test(path)),
    ...sources
      .filter((path) => path.endsWith('.ts') && !path.startsWith('page/'))
      .map((path) => `dist/${path.replace(/\.ts$/, '.js')}`),
    'dist/assets/seattle-weather-hourly-normals.csv',
    ...['LICENSE', 'NOTICE', 'swagger-ui-bundle.js', 'swagger-ui-bundle.js.LICENSE.txt', 'swagger-ui.css'].map(
      (name) => `dist/assets/swagger-ui/${name}`,
    ),
  ];
  expect(packed.sort()).toEqual(expected.sort());
});

/** What is committed in these folders, so that a file which lies there by chance would be seen. */
async function committedBelow(...folders: string[]): Promise<string[]> {
  const { stdout } = await promisify(execFile)('git', ['ls-files', ...folders], { cwd: project });
  return stdout.trim().split('\n');
}

test('links of its documents lead to what is in it', async () => {
  const { stdout } = await promisify(execFile)('tar', ['-tzf', tarball]);
  const packed = stdout
    .trim()
    .split('\n')
    .map((path) => path.replace(/^package\//, ''));
  const broken: string[] = [];
  for (const document of packed.filter((path) => path.endsWith('.md'))) {
    const text = (await readFile(join(project, document), 'utf8')).replaceAll(/```[\s\S]*?```/g, '');
    for (const [, link] of text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)) {
      const target = join(dirname(document), link as string).replace(/\/$/, '');
      const isThere = packed.some((path) => path === target || path.startsWith(`${target}/`));
      if (!isThere) broken.push(`${document}: ${link}`);
    }
  }
  expect(broken).toEqual([]);
});

test('says its version in one voice', async () => {
  const openapi = parse(await readFile(join(project, 'openapi.yaml'), 'utf8'));
  expect(openapi.info.version).toBe(version);
  expect(await readFile(join(project, 'CHANGELOG.md'), 'utf8')).toContain(`## [${version}]`);
  const lock = JSON.parse(await readFile(join(project, 'package-lock.json'), 'utf8'));
  expect([lock.version, lock.packages[''].version]).toEqual([version, version]);
});

test('every package that runs something when it is installed is allowed or refused by name', async () => {
  const { allowScripts } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'));
  const { packages } = JSON.parse(await readFile(join(project, 'package-lock.json'), 'utf8'));
  const scripted = Object.keys(packages).filter((path) => packages[path].hasInstallScript);
  expect(scripted.map((path) => path.replace(/^.*node_modules\//, '')).sort()).toEqual(
    Object.keys(allowScripts).sort(),
  );
});

test('npm ci, where npm knows such a rule, stops before it installs anything when one is neither', async (context) => {
  const { stdout: settings } = await npm(['config', 'list', '--long', '--json'], folder);
  if (!('strict-allow-scripts' in JSON.parse(settings))) return context.skip('this npm does not know the rule');
  const place = join(folder, 'undecided');
  await mkdir(place);
  for (const name of ['.npmrc', 'package-lock.json']) await cp(join(project, name), join(place, name));
  const { allowScripts, ...manifest } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'));
  const { '@scarf/scarf': undecided, ...decided } = allowScripts;
  expect(undecided).toBe(false);
  await writeFile(join(place, 'package.json'), JSON.stringify({ ...manifest, allowScripts: decided }));
  const { stderr } = await npm(['ci', '--ignore-scripts=false'], place).catch((error) => error);
  expect(stderr).toMatch(/ESTRICTALLOWSCRIPTS[\s\S]*@scarf\/scarf/);
  expect(await readdir(place)).not.toContain('node_modules');
});

test('installs into an empty folder, and npx runs it: serve, a chunk, the chunk back', {
  timeout: 180_000,
}, async () => {
  const place = join(folder, 'place');
  await mkdir(place);
  await writeFile(join(place, 'package.json'), '{"private":true}');
  const { stderr } = await npm(['install', '--prefer-offline', '--ignore-scripts=false', tarball], place);
  expect(stderr).not.toContain('EBADENGINE');
  const npx = (args: string[]) => npm(['exec', '--offline', '--', 'metrology-server', ...args], place);
  expect((await npx(['--version'])).stdout.trim()).toBe(`${version} (commit ${commit})`);
  expect((await npx(['--help'])).stdout).toContain('serve');

  const key = 'key-of-the-package-test';
  const settings = { PORT: '0', BOOTSTRAP_API_KEY: key, LOG_LEVEL: 'error' };
  const child = spawn('npm', ['exec', '--offline', '--', 'metrology-server', 'serve'], {
    cwd: place,
    env: { PATH, HOME, LANG, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, to be stopped as a whole, as Ctrl-C does: npm passes a SIGTERM of its own on to nobody.
    detached: true,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  const ended = new Promise((resolve) => child.once('close', resolve));
  try {
    const endpoint = await addressIn(() => said);
    const api = async (path: string, body?: object) => {
      const answer = await fetch(`${endpoint}${path}`, {
        headers: { 'x-api-key': key, 'content-type': 'application/json' },
        ...(body && { method: 'POST', body: JSON.stringify(body) }),
      });
      expect([path, answer.ok]).toEqual([path, true]);
      return answer;
    };
    expect(await (await api('/healthz')).json()).toEqual({ status: 'ok', version, commit });
    const document = parse(await (await api('/openapi.yaml')).text());
    expect(document.info).toMatchObject({ version, 'x-commit': commit });
    expect(await (await api('/metrics')).text()).toContain(
      `metrology_build_info{version="${version}",commit="${commit}"} 1\n`,
    );
    expect((await (await api('/docs/swagger-ui-bundle.js')).text()).length).toBeGreaterThan(1_000_000);
    const opened = await (await api('/metrology/stream/initialize', { points_per_chunk: 2 })).json();
    const { data_id } = opened as { data_id: string };
    const readings = { timestamps: [1705312200, 1705312210], values: [0.1, null], units: 'nm' };
    await api('/metrology/stream/chunk', { data_id, chunk_index: 0, channel_name: 'thickness', ...readings });
    const points = await (await api(`/metrology/${data_id}/points/?channel=thickness`)).json();
    expect(points).toMatchObject({ point_count: 2, chunks: [{ chunk_index: 0, ...readings }] });
    const { server } = (await (await api(`/exports/${data_id}/metadata`)).json()) as { server: object };
    expect(server).toEqual({ name: 'metrology-server', version, commit });
    const file = Buffer.from(await (await api(`/exports/${data_id}?format=parquet`)).arrayBuffer());
    expect(file.includes(`metrology-server version ${version} (build ${commit})`)).toBe(true);
    expect(await readdir(place)).toContain('data');
  } finally {
    process.kill(-(child.pid as number), 'SIGTERM');
    // Its output is closed when npm, the server and PostgreSQL have all ended.
    const how = await Promise.race([ended.then(() => 'ended'), sleep(20_000, 'still running')]);
    expect(how, said).toBe('ended');
  }
});

test('npm start in a checkout: a SIGTERM to npm reaches the server, which ends in order with its PostgreSQL', {
  timeout: 120_000,
}, async () => {
  const child = spawn('npm', ['start'], {
    cwd: checkout,
    env: { PATH, HOME, LANG, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  try {
    const endpoint = await addressIn(() => said);
    // It listens before its PostgreSQL has started; until then it is not ready.
    await expect.poll(async () => (await fetch(`${endpoint}/readyz`)).status, { timeout: 30_000 }).toBe(200);
    const { pid: postgres } = readPostmasterFile(join(checkout, 'data/postgres')) as { pid: number };
    child.kill('SIGTERM');
    const how = await Promise.race([ended, sleep(20_000, 'still running')]);
    expect(how, said).toEqual({ code: 0, signal: null });
    expect(said).toContain('"msg":"stopped"');
    expect(isRunning(postgres)).toBe(false);
    await expect(fetch(`${endpoint}/healthz`)).rejects.toThrow();
  } finally {
    try {
      process.kill(-(child.pid as number), 'SIGKILL');
    } catch {
      // All of its group has ended, as it should.
    }
  }
});

async function addressIn(said: () => string): Promise<string> {
  for (let waited = 0; waited < 60_000; waited += 50) {
    const address = /^ +Address +(\S+)$/m.exec(said())?.[1];
    if (address !== undefined) return address;
    await sleep(50);
  }
  throw new Error(`no server:\n${said()}`);
}
