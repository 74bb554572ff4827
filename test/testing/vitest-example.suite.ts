import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { project, shownFiles } from './support/built-program.ts';

/* The example for vitest, run with the package as npm packs it, and its types read by the compiler. */

const run = promisify(execFile);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metrology-vitest-'));
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: project });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz')) as string;
  await cp(join(project, 'examples/vitest'), join(folder, 'example'), { recursive: true });
  const modules = join(folder, 'example/node_modules');
  await mkdir(modules);
  await run('tar', ['-xzf', join(folder, tarball), '-C', modules]);
  await run('mv', [join(modules, 'package'), join(modules, 'metrology-server')]);
  // What it needs is what this checkout has: the installation itself is tested by test/installed.
  await symlink(join(project, 'node_modules'), join(modules, 'metrology-server/node_modules'));
  for (const name of ['vitest', 'typescript', '@types', 'vite']) {
    await symlink(join(project, 'node_modules', name), join(modules, name));
  }
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What `vitest run` reports there. */
async function vitestIn(cwd: string): Promise<object> {
  const { VITEST: _, VITEST_WORKER_ID: __, VITEST_POOL_ID: ___, ...env } = process.env;
  const vitest = join(project, 'node_modules/vitest/vitest.mjs');
  const ran = run(process.execPath, [vitest, 'run', '--reporter=json'], { cwd, env });
  const { stdout } = await ran.catch((error) => {
    if (error.code === 1) return error as { stdout: string };
    throw new Error(`${error.message}\n${error.stdout}`);
  });
  return JSON.parse(stdout);
}

test('the example passes', { timeout: 180_000 }, async () => {
  const example = join(folder, 'example');
  const cases = (await readFile(join(example, 'send-chunk.test.ts'), 'utf8')).match(/^test\(/gm)?.length;
  expect(await vitestIn(example)).toMatchObject({ numPassedTests: cases, numFailedTests: 0 });
});

test('the five minutes of docs/testing.md are red, and then green', { timeout: 180_000 }, async () => {
  const place = join(folder, 'five-minutes');
  await mkdir(place);
  await symlink(join(folder, 'example/node_modules'), join(place, 'node_modules'));
  const [naive, itsTest, better] = await shownFiles('ts');
  type Shown = NonNullable<typeof naive>;
  for (const { name, text } of [naive, itsTest] as Shown[]) await writeFile(join(place, name), text);
  expect(await vitestIn(place)).toMatchObject({ numPassedTests: 0, numFailedTests: 1 });
  const { name, text } = better as Shown;
  await writeFile(join(place, name), text);
  expect(await vitestIn(place)).toMatchObject({ numPassedTests: 1, numFailedTests: 0 });
});

test('its types are those of the package', { timeout: 120_000 }, async () => {
  const options = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--allowImportingTsExtensions',
  ];
  const compiler = join(project, 'node_modules/typescript/bin/tsc');
  const args = [compiler, ...options, '--types', 'node', '--skipLibCheck', 'send-chunk.test.ts'];
  await run(process.execPath, args, { cwd: join(folder, 'example') }).catch((error) => {
    throw new Error(`${error.message}\n${error.stdout}`);
  });
});

test('node:test needs no more than the import', { timeout: 120_000 }, async () => {
  const source = `
    import assert from 'node:assert';
    import { test } from 'node:test';
    import { startTestServer } from 'metrology-server/testing';
    test('a server comes and goes', async () => {
      const server = await startTestServer({ seed: 3 });
      const lab = await server.newOrganization({ name: 'lab' });
      assert.equal(lab.name, 'lab');
      assert.equal((await fetch(server.url + '/healthz')).status, 200);
      await server[Symbol.asyncDispose]();
      await server.stop();
      await assert.rejects(fetch(server.url + '/healthz'));
      await assert.rejects(startTestServer({ settings: { FINALIZE_GRACE_SECONDS: 'x' } }), /FINALIZE_GRACE_SECONDS/);
    });`;
  const args = ['--input-type=module', '--eval', source];
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout } = await run(process.execPath, args, { cwd: join(folder, 'example'), env }).catch((error) => {
    throw new Error(`${error.message}\n${error.stdout}`);
  });
  expect(stdout).toMatch(/pass 1/);
});
