import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installReleases } from '../sdk/support/python-environment.ts';
import { project, shownFiles, startBuilt } from './support/built-program.ts';

/*
 * The wheel as a user has it: built, installed into an environment of its own, and the example run with it where there is no
 * Node on the PATH and site-packages cannot be written. The SDK comes from the environment of the suite of the SDK.
 */

const run = promisify(execFile);
/** Longest build of the wheel, and longest installation of it, in milliseconds. */
const buildMsMax = 240_000;
const installMsMax = 240_000;
type Shown = Awaited<ReturnType<typeof shownFiles>>[number];
let folder: string;
let python: string;
let wheel: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metrology-python-'));
  const { stdout } = await run(process.execPath, [join(project, 'clients/python/build.mjs'), join(folder, 'wheel')], {
    maxBuffer: 10_000_000,
    timeout: buildMsMax,
  });
  wheel = stdout.trim().split('\n').at(-1) as string;
  const venv = join(folder, 'venv');
  await run(process.env.PYTHON ?? 'python3', ['-m', 'venv', venv]);
  python = join(venv, 'bin/python');
  const pip = ['-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', '--no-compile'];
  await run(python, [...pip, wheel, 'pytest-xdist'], { timeout: installMsMax });
  const newest = (await installReleases(() => false)).find(({ isNewest }) => isNewest);
  const sdk = await sitePackages(newest?.installed?.python as string);
  // What is installed here comes first: of it all is there but the SDK and what that needs.
  await writeFile(join(await sitePackages(python), 'sdk.pth'), `${sdk}\n`);
}, 600_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

async function sitePackages(interpreter: string): Promise<string> {
  const { stdout } = await run(interpreter, ['-c', "import sysconfig; print(sysconfig.get_path('purelib'))"]);
  return stdout.trim();
}

/** With an environment that has nothing but a home and a PATH on which there is no Node. */
async function pytest(args: string[], cwd: string, { isRed = false, env = {} } = {}): Promise<string> {
  const path = join(folder, 'bin');
  await mkdir(path, { recursive: true });
  const bare = { HOME: folder, PATH: `${path}:/usr/sbin:/sbin`, PYTHONDONTWRITEBYTECODE: '1', ...env };
  const ran = run(python, ['-m', 'pytest', '-p', 'no:cacheprovider', ...args], { cwd, env: bare });
  const { stdout } = await ran.catch((error) => {
    if (isRed && error.code === 1) return error as { stdout: string };
    throw new Error(`${error.message}\n${error.stdout}`);
  });
  return stdout;
}

test('the wheel says what it is for, and its version is that of the server', async () => {
  const { version } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'));
  expect(wheel).toMatch(new RegExp(`/metrology_server_testing-${version}-py3-none-manylinux_2_17_x86_64\\.whl$`));
});

test('the example passes without Node on the PATH, from files that cannot be written', {
  timeout: 300_000,
}, async () => {
  const place = join(await sitePackages(python), 'metrology_server_testing');
  await run('chmod', ['-R', 'a-w', place]);
  const cases = (await readFile(join(project, 'examples/pytest/test_acquire.py'), 'utf8')).match(
    /^def test_/gm,
  )?.length;
  expect(await pytest(['-q'], join(project, 'examples/pytest'))).toContain(`${cases} passed`);
  expect((await readdir(place)).sort()).toContain('server');
});

test('the five minutes of docs/testing.md are red, and then green', { timeout: 120_000 }, async () => {
  const cases = join(folder, 'five-minutes');
  await mkdir(cases);
  const [naive, itsTest, better] = await shownFiles('python');
  for (const { name, text } of [naive, itsTest] as Shown[]) await writeFile(join(cases, name), text);
  const red = await pytest(['-q'], cases, { isRed: true });
  expect([red.includes('1 failed'), red.includes('503 Service Unavailable')]).toEqual([true, true]);
  const { name, text } = better as Shown;
  await writeFile(join(cases, name), text);
  expect(await pytest(['-q'], cases)).toContain('1 passed');
});

test('workers of pytest-xdist have a server each; one that is named is used by all', { timeout: 300_000 }, async () => {
  const cases = join(folder, 'cases');
  await mkdir(cases);
  await writeFile(
    join(cases, 'test_alone.py'),
    `import pytest, time

@pytest.mark.parametrize("number", range(6))
def test_has_a_server(metrology, metrology_server, number, worker_id, tmp_path_factory):
    place = tmp_path_factory.getbasetemp().parent if worker_id != "master" else tmp_path_factory.getbasetemp()
    with open("${cases}/seen", "a") as seen:
        seen.write(f"{worker_id} {metrology_server.url} {metrology.organization_id}\\n")
    assert metrology.requests.list() == []
    assert metrology.client().search() is not None
    time.sleep(0.5)
    assert len(metrology.requests.list()) >= 1
`,
  );
  expect(await pytest(['-q', '-n', '2'], cases)).toContain('6 passed');
  const seen = async () => {
    const text = await readFile(join(cases, 'seen'), 'utf8');
    await rm(join(cases, 'seen'));
    const lines = text.trim().split('\n');
    return lines.map((line) => line.split(' ') as [worker: string, url: string, organization: string]);
  };
  const alone = await seen();
  const workers = new Set(alone.map(([worker]) => worker));
  expect([workers.size, new Set(alone.map(([, url]) => url)).size]).toEqual([2, 2]);
  expect(new Set(alone.map(([worker, url]) => `${worker} ${url}`)).size).toBe(2);
  expect(new Set(alone.map(([, , organization]) => organization)).size).toBe(6);

  await using named = await startBuilt();
  const env = { METROLOGY_SERVER_URL: `${named.url}/` };
  expect(await pytest(['-q', '-n', '2'], cases, { env })).toContain('6 passed');
  const together = await seen();
  expect(new Set(together.map(([, url]) => url))).toEqual(new Set([named.url]));
  expect(new Set(together.map(([, , organization]) => organization)).size).toBe(6);
});

test('a failing start and a wrong use are said', { timeout: 120_000 }, async () => {
  const cases = join(folder, 'wrong');
  await mkdir(cases);
  await cp(join(project, 'examples/pytest/acquire.py'), join(cases, 'acquire.py'));
  await writeFile(
    join(cases, 'test_wrong.py'),
    `import pytest
from metrology_server_testing import ControlError, ServerFailed, connect, start

def test_a_wrong_setting():
    with pytest.raises(ServerFailed, match="FINALIZE_GRACE_SECONDS"):
        start(settings={"FINALIZE_GRACE_SECONDS": "soon"})

def test_nobody_there():
    with pytest.raises(ServerFailed, match="is no server for tests"):
        connect("http://127.0.0.1:9")

def test_a_wrong_rule(metrology):
    with pytest.raises(TypeError, match="chunkindex"):
        metrology.faults.add(status=503, chunkindex=1)
    with pytest.raises(ControlError, match="nth and times"):
        metrology.faults.add(status=503, nth=1, times=1)

def test_what_did_not_come(metrology):
    with pytest.raises(AssertionError, match="0 requests, not 1"):
        metrology.requests.wait_for(1, seconds_max=0.1)
    rule = metrology.faults.add(hang=True)
    metrology.faults.clear()
    with pytest.raises(ControlError, match="was removed"):
        rule.hit

def test_the_same_seed_the_same_ids():
    lines = []
    for _ in range(2):
        with start(seed=5) as server:
            lines.append((server.api_key, server.new_organization().organization_id))
    assert lines[0] == lines[1]
`,
  );
  expect(await pytest(['-q'], cases)).toContain('5 passed');
});
