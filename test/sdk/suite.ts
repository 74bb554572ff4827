/**
 * The official Python SDK, newest release, against a real server process over a socket.
 *
 * Each function `test_*` in `cases/*.py` is one test here. Nothing is ever skipped: when the installation or the
 * server fails, every case fails with that reason.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { buildWhenStale } from './support/build.ts';
import { listCases, type PythonRun, startCases } from './support/python-cases.ts';
import { installSdk } from './support/python-environment.ts';
import { createKey, type ServerProcess, startServer } from './support/server-process.ts';

const installMsMax = 600_000;
const startMsMax = 90_000;
const logLinesShown = 30;

const modules = await listCases();
const servers: ServerProcess[] = [];
let run: PythonRun | undefined;

const sdk = once(installSdk);
const build = once(buildWhenStale);
const mainServer = once(() => start({}));
// A second server holds the settings that would disturb the other cases: a short grace and the reference clock.
const strictServer = once(() => start({ FINALIZE_GRACE_SECONDS: '1', REFERENCE_CLOCK: 'true' }));
const pythonRun = once(runPython);

test('the newest atomscale installs from PyPI', { timeout: installMsMax }, async () => {
  const installed = await sdk();
  console.log(`atomscale ${installed.version} on Python ${installed.pythonVersion}`);
  expect(installed.version).toMatch(/^\d+\.\d+\.\d+/);
});

test('the built server starts and becomes ready', { timeout: startMsMax }, async () => {
  const server = await mainServer();
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
});

for (const module of modules) {
  describe(module.title, () => {
    for (const one of module.cases) {
      test(one.title, async () => {
        const report = await (await pythonRun()).report(one.id);
        if (report.outcome !== 'passed') throw new Error(report.text);
      });
    }
  });
}

test('both servers have lived through all cases and stop when they are told to', async () => {
  await Promise.all([mainServer(), strictServer()]);
  for (const server of servers) await server.stop();
});

afterAll(async () => {
  await run?.stop();
  for (const server of servers) await server.stop().catch(() => undefined);
});

async function start(settings: Record<string, string>): Promise<ServerProcess> {
  await build();
  const server = await startServer(settings);
  servers.push(server);
  return server;
}

async function runPython(): Promise<PythonRun> {
  const [installed, main, strict] = await Promise.all([sdk(), mainServer(), strictServer()]);
  const [ada, grace, foreign] = await Promise.all([
    createKey(main, 'sdk-lab', 'ada'),
    createKey(main, 'sdk-lab', 'grace'),
    createKey(main, 'elsewhere', 'mallory'),
  ]);
  run = startCases({
    python: installed.python,
    cases: modules.flatMap((module) => module.cases.map((one) => one.id)),
    env: {
      SDK_ENDPOINT: main.url,
      SDK_KEY: main.apiKey,
      SDK_ADA_KEY: ada,
      SDK_GRACE_KEY: grace,
      SDK_FOREIGN_KEY: foreign,
      SDK_STRICT_ENDPOINT: strict.url,
      SDK_STRICT_KEY: strict.apiKey,
    },
    serverLog: () =>
      servers.map((server) => `--- log of ${server.url}\n${server.lastLines(logLinesShown).join('\n')}`).join('\n'),
  });
  return run;
}

/** Runs the work at the first call; every later call gets the same result or the same error. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}
