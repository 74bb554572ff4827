import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestOrganization, TestServer } from '../../src/testing/client.ts';
import type { FaultBody } from '../../src/testing/wire.ts';
import { readCaseCounts } from '../sdk/recording/case-counts.ts';
import { compatibilityDocument, documentFile } from '../sdk/recording/document.ts';
import { readTranscripts } from '../sdk/recording/transcript.ts';
import { installReleases } from '../sdk/support/python-environment.ts';
import { isPinned, nameOf, type Release } from '../sdk/support/releases.ts';
import { clientOf, project, startBuilt } from './support/built-program.ts';
import { type FaultResult, readFaultResults, resultsFile } from './support/sdk-fault-results.ts';

/*
 * What releases of the SDK do under faults: how often a chunk is sent again, after how long, whether all is stored in the end,
 * and what the caller sees. `npm run compatibility` keeps the results, which docs/compatibility.md shows; otherwise they are compared.
 */

const faults: { name: string; call?: 'finalize'; rule: Omit<FaultBody, 'match'>; seconds?: number }[] = [
  { name: '503 once', rule: { times: 1, action: { status: 503, headers: { 'retry-after': '1' } } } },
  { name: '503 for 20 s', rule: { action: { status: 503, headers: { 'retry-after': '1' } } }, seconds: 20 },
  { name: 'cut after the commit', rule: { times: 1, when: 'after_commit', action: { reset: true } } },
  { name: 'answer after 35 s', rule: { times: 1, when: 'after_commit', action: { delay_ms: 35_000 } } },
  { name: '409', rule: { times: 1, action: { status: 409 } } },
  { name: 'finalize before the last chunk', call: 'finalize', rule: { times: 1, action: { delay_ms: 2_000 } } },
];
const tasks = faults.flatMap(({ call, ...fault }) =>
  (call ? [call] : (['run', 'push'] as const)).map((named) => ({ ...fault, call: named })),
);

let server: TestServer;
let releases: Release[];

beforeAll(async () => {
  server = await startBuilt();
  releases = (await installReleases()).filter((release) => release.installed?.has.has('streamer') && isPinned(release));
}, 600_000);
afterAll(() => server?.stop());

test('each release that streams, under each fault', { timeout: 900_000 }, async () => {
  expect(releases.length).toBeGreaterThan(4);
  const results: Record<string, FaultResult[]> = {};
  const waiting = [...releases];
  const work = async () => {
    for (let release = waiting.shift(); release; release = waiting.shift())
      results[nameOf(release)] = await resultsOf(release);
  };
  await Promise.all([work(), work(), work()]);
  const ordered = Object.fromEntries(
    releases.map((release) => [nameOf(release), results[nameOf(release)] as FaultResult[]]),
  );
  if (process.env.SDK_RECORD) {
    await writeFile(resultsFile, `${JSON.stringify(ordered, null, 2)}\n`);
    await writeFile(documentFile, compatibilityDocument(await readTranscripts(), await readCaseCounts(), ordered));
  }
  expect(ordered).toEqual(await readFaultResults());
});

async function resultsOf(release: Release): Promise<FaultResult[]> {
  const organizations = await Promise.all(
    tasks.map(async ({ rule, seconds }) => {
      const one = await server.newOrganization();
      const made = await one.faults.add({ ...rule, match: { path: '/**/chunk', chunk_index: 1 } });
      if (seconds !== undefined) void endAfter(one, made.id, seconds);
      return one;
    }),
  );
  const given = organizations.map(({ apiKey }, index) => ({ key: apiKey, call: tasks[index]?.call }));
  const said = await drive(release, JSON.stringify(given));
  return Promise.all(
    said.map(async ({ data_id, sees }, index): Promise<FaultResult> => {
      const one = organizations[index] as TestOrganization;
      const sent = await one.requests.list({ path: '/**/chunk', chunk_index: 1 });
      const { json } = await clientOf(one.url, one.apiKey)('GET', `/metrology/${data_id}/points/?channel=pressure`);
      const { name, call } = tasks[index] as (typeof tasks)[number];
      const times = sent.map(({ at }) => Date.parse(at));
      return {
        fault: name,
        call,
        sent: sent.length,
        pausesS: times.slice(1).map((time, place) => roundedS(time - (times[place] as number))),
        isComplete: json.point_count === 6,
        sees: sees
          .replace(data_id, '…')
          .replaceAll(/127\.0\.0\.1:\d+/g, '…')
          .replace(/\(fault \d+\)/, ''),
      };
    }),
  );
}

/** To the half second, and above five to ten seconds: what a busy machine adds is less. */
function roundedS(ms: number): number {
  return ms < 5_000 ? Math.floor(ms / 500) / 2 : Math.floor(ms / 10_000) * 10;
}

async function endAfter(one: TestOrganization, id: number, seconds: number): Promise<void> {
  await one.requests.waitFor(1, { chunk_index: 1 }, 300).catch(() => undefined);
  setTimeout(() => void server.faults.remove(id).catch(() => undefined), seconds * 1_000);
}

function drive({ package: name, installed }: Release, input: string): Promise<{ data_id: string; sees: string }[]> {
  const env = { ...process.env, ...installed?.environment, SDK_PACKAGE: name, SDK_ENDPOINT: server.url };
  const child = spawn(installed?.python as string, [`${project}test/testing/support/sdk_faults.py`], { env });
  let [out, error] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    error += text;
  });
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('close', (code) => (code === 0 ? resolve(JSON.parse(out)) : reject(new Error(`${name}: ${error}`))));
  });
}
