/**
 * The official Python SDK, the newest release and one of each generation, against a real server process over a socket.
 *
 * Each function `test_*` in `cases/*.py` is one test for each release that has what the case needs, as found in the
 * installed package. Nothing is ever skipped: when an installation or the server fails, every case of that release
 * fails with that reason.
 *
 * Each pinned release also runs one acquisition through a recording proxy: what it sends has to be what is kept in
 * test/transcripts. With SDK_RECORD set (`npm run compatibility`) it is written there instead.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { welcome } from '../../src/process/welcome.ts';
import { readFaultResults } from '../testing/support/sdk-fault-results.ts';
import { readCaseCounts, writeCaseCounts } from './recording/case-counts.ts';
import { compatibilityDocument, documentFile } from './recording/document.ts';
import { record } from './recording/record.ts';
import { callsOf, readTranscript, readTranscripts, transcriptFile, writeTranscript } from './recording/transcript.ts';
import { buildWhenStale } from './support/build.ts';
import { deferred } from './support/deferred.ts';
import { unknownCalls } from './support/known-calls.ts';
import { projectFolder } from './support/places.ts';
import { type Case, listCases, type PythonRun, startCases } from './support/python-cases.ts';
import { installReleases } from './support/python-environment.ts';
import { isPinned, nameOf, type Release } from './support/releases.ts';
import { runToEnd } from './support/run-to-end.ts';
import { createKey, type ServerProcess, startServer } from './support/server-process.ts';
import { shownAfter, stepsWith } from './support/shared-stream.ts';

const startMsMax = 90_000;
const sharedMsMax = 300_000;
const logLinesShown = 30;
const releasesAtOnce = 2;
const isRecording = process.env.SDK_RECORD !== undefined;

const servers: ServerProcess[] = [];
const runs: PythonRun[] = [];

const build = once(buildWhenStale);
const mainServer = once(() => start({}));
// A second server holds the settings that would disturb the other cases: a short grace and the reference clock.
const strictServer = once(() => start({ FINALIZE_GRACE_SECONDS: '1', REFERENCE_CLOCK: 'true' }));
const settings = once(settingsOfServers);

// Which cases there are depends on what the installed releases can do, so they are installed before the tests are named.
const [modules, releases] = await Promise.all([listCases(), installReleases()]);
const runOf = startInTurn(releases);

test('the newest atomscale installs from PyPI', () => {
  const newest = releases.find((release) => release.isNewest);
  if (newest?.installed === undefined) throw new Error(newest?.failure ?? 'no release is the newest');
  console.log(`${nameOf(newest)} on Python ${newest.installed.pythonVersion}`);
});

test('the newest atomscale has no call that nobody has looked at', () => {
  const newest = releases.find((release) => release.isNewest);
  if (newest?.installed === undefined) throw new Error(newest?.failure ?? 'no release is the newest');
  expect(newest.installed.calls.length).toBeGreaterThan(50);
  expect(
    unknownCalls(newest.installed.calls),
    'put each into test/sdk/support/known-calls.ts, and serve what belongs here',
  ).toEqual([]);
});

test('every case applies to a release', () => {
  const cases = modules.flatMap((module) => module.cases);
  expect(cases.filter((one) => !releases.some((release) => applies(one, release))).map(({ id }) => id)).toEqual([]);
});

test('the built server starts and becomes ready', { timeout: startMsMax }, async () => {
  const server = await mainServer();
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
});

for (const release of releases) {
  describe(nameOf(release), () => {
    test('is installed with all that it requires', () => {
      if (release.installed === undefined) throw new Error(release.failure);
    });
    if (isPinned(release)) {
      test('sends what its transcript holds', async () => {
        const server = await mainServer();
        const key = await createKey(server, `recording of ${nameOf(release)}`, 'recorder');
        const sent = await record(release, { url: server.url, key });
        const kept = await readTranscript(transcriptFile(release)).catch(() => undefined);
        const isSame = kept !== undefined && isDeepStrictEqual(callsOf(sent), callsOf(kept));
        // What only came in another order is not written anew.
        if (isRecording && !isSame) await writeTranscript(sent);
        else expect(callsOf(sent), 'npm run compatibility records anew').toEqual(callsOf(kept ?? sent));
        if (kept === undefined && !isRecording) throw new Error('There is no transcript: npm run compatibility');
      });
    }
    for (const module of modules) {
      const cases = module.cases.filter((one) => applies(one, release));
      if (cases.length === 0) continue;
      describe(module.title, () => {
        for (const one of cases) {
          test(one.title, async () => {
            if (release.installed === undefined) throw new Error(release.failure);
            const report = await (await runOf(release)).report(one.id);
            if (report.outcome !== 'passed') throw new Error(report.text);
          });
        }
      });
    }
  });
}

describe('one stream, several releases, each in a process of its own', () => {
  const step = stepsWith(environmentOf);
  const found = (version: string) => releases.find((one) => one.version === version) as Release;
  const newest = releases.find((one) => one.isNewest) as Release;

  for (const { opener, feeders } of [
    { opener: found('0.11.0'), feeders: [found('0.11.0'), found('0.20.1'), found('0.21.6'), newest] },
    { opener: newest, feeders: [found('0.12.0'), newest, found('0.15.0')] },
  ]) {
    test(`opened by ${nameOf(opener)}, fed by ${feeders.map(nameOf).join(', ')}, read by all`, {
      timeout: sharedMsMax,
    }, async () => {
      const dataId = await step(opener, 'open');
      for (const [index, feeder] of feeders.entries()) await step(feeder, 'feed', dataId, String(index));
      // The last feeder sends what the first one sent: it is the same chunk, whoever sends it under whichever path.
      await step(feeders.at(-1) as Release, 'feed', dataId, '0');
      await step(feeders[0] as Release, 'finalize', dataId);
      const shown = await Promise.all(releases.map((reader) => step(reader, 'read', dataId)));
      for (const [place, reader] of releases.entries())
        expect(JSON.parse(shown[place] ?? ''), nameOf(reader)).toEqual(shownAfter(feeders.length));
    });
  }
});

describe('Python that people paste', () => {
  test('the measured record of the README streams and comes back', async () => {
    const readme = await readFile(join(projectFolder, 'README.md'), 'utf8');
    const said = await paste(/```python\n(.*?)```/s.exec(readme)?.[1]);
    expect(said).toContain('[8759 rows x 5 columns]');
    expect(said).toMatch(/1262307600000 +0\.0 +1016\.6 +4\.0 +3\.8/);
  });

  test('what the server prints at its start streams a first run and shows it', async () => {
    const { url, apiKey } = await mainServer();
    const printed = welcome(url, '', { kind: 'new', key: apiKey });
    const said = await paste(printed.slice(printed.indexOf('import os')));
    expect(said).toMatch(/UNIX Timestamp +Time +thickness/);
    expect(said).toMatch(/2\.0 +10\.1/);
  });
});

test('docs/compatibility.md counts the cases that ran', async () => {
  if (isRecording) {
    await writeCaseCounts(caseCounts());
    await writeFile(
      documentFile,
      compatibilityDocument(await readTranscripts(), caseCounts(), await readFaultResults()),
    );
  } else expect(caseCounts(), 'npm run compatibility counts anew').toEqual(await readCaseCounts());
});

test('both servers have lived through all cases and stop when they are told to', async () => {
  await Promise.all([mainServer(), strictServer()]);
  for (const server of servers) await server.stop();
});

afterAll(async () => {
  for (const run of runs) await run.stop();
  for (const server of servers) await server.stop().catch(() => undefined);
});

/** For each pinned release, how many cases of each module apply to it: all of them pass, or this run fails. */
function caseCounts(): Record<string, Record<string, number>> {
  const counted = releases.filter(isPinned).map((release) => {
    const ofModule = ({ cases }: (typeof modules)[number]) => cases.filter((one) => applies(one, release)).length;
    return [nameOf(release), Object.fromEntries(modules.map((module) => [module.title, ofModule(module)]))];
  });
  return Object.fromEntries(counted);
}

/** What cannot be asked because it is not installed is expected to have everything, so that every case fails with it. */
function applies(one: Case, release: Release): boolean {
  return one.needs.every((need) => release.installed?.has.has(need) ?? true);
}

/** Runs Python with the newest release as someone would who pastes it in the checkout. @returns what it printed */
async function paste(python: string | undefined): Promise<string> {
  const { url, apiKey } = await mainServer();
  const newest = releases.find((release) => release.isNewest)?.installed;
  if (newest === undefined || python === undefined)
    throw new Error('there is nothing to run it with, or nothing to run');
  const env = { ...process.env, ...newest.environment, AS_API_ENDPOINT: url, AS_API_KEY: apiKey };
  return runToEnd(newest.python, ['-c', python], { msMax: 60_000, cwd: projectFolder, env });
}

async function start(environment: Record<string, string>): Promise<ServerProcess> {
  await build();
  const server = await startServer(environment);
  servers.push(server);
  return server;
}

async function settingsOfServers(): Promise<Record<string, string>> {
  const [main, strict] = await Promise.all([mainServer(), strictServer()]);
  const [ada, grace, foreign] = await Promise.all([
    createKey(main, 'sdk-lab', 'ada'),
    createKey(main, 'sdk-lab', 'grace'),
    createKey(main, 'elsewhere', 'mallory'),
  ]);
  return {
    SDK_ENDPOINT: main.url,
    SDK_KEY: main.apiKey,
    SDK_ADA_KEY: ada,
    SDK_GRACE_KEY: grace,
    SDK_FOREIGN_KEY: foreign,
    SDK_STRICT_ENDPOINT: strict.url,
    SDK_STRICT_KEY: strict.apiKey,
  };
}

/** Runs the releases' cases in the order given, few releases at a time, from the first question on. */
function startInTurn(all: readonly Release[]): (release: Release) => Promise<PythonRun> {
  const started = new Map(all.map((release) => [release, deferred<PythonRun>()]));
  const work = once(async () => {
    const waiting = [...all];
    const worker = async () => {
      for (let release = waiting.shift(); release !== undefined; release = waiting.shift()) {
        const run = await runCases(release).catch((reason) => started.get(release as Release)?.reject(reason));
        if (run === undefined) continue;
        started.get(release)?.resolve(run);
        await run.ended;
      }
    };
    await Promise.all(Array.from({ length: releasesAtOnce }, worker));
  });
  return (release) => {
    void work();
    return started.get(release)?.promise ?? Promise.reject(new Error(`No such release: ${nameOf(release)}`));
  };
}

async function runCases(release: Release): Promise<PythonRun | undefined> {
  if (release.installed === undefined) return undefined;
  const run = startCases({
    python: release.installed.python,
    cases: modules.flatMap((module) => module.cases.filter((one) => applies(one, release)).map((one) => one.id)),
    env: await environmentOf(release),
    serverLog: () =>
      servers.map((server) => `--- log of ${server.url}\n${server.lastLines(logLinesShown).join('\n')}`).join('\n'),
  });
  runs.push(run);
  return run;
}

/** The settings by which a Python process finds the servers and is of this release. */
async function environmentOf(release: Release): Promise<Record<string, string>> {
  const { environment = {}, has = [] } = release.installed ?? {};
  return { ...(await settings()), ...environment, SDK_PACKAGE: release.package, SDK_HAS: [...has].join('\n') };
}

/** Runs the work at the first call; every later call gets the same result or the same error. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}
