import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { buildServer, serve } from '../support/built-server.ts';
import { installSchemathesis, type Report, runSchemathesis } from './schemathesis.ts';

/* Every operation of openapi.yaml, with all checks of schemathesis: what is answered is what the document says. */

const examples = Number(process.env.API_EXAMPLES ?? 100);
const seed = Number(process.env.API_SEED ?? 1);
const key = 'key-for-requests-that-are-made-up';
// Two runs beside each other, of about the same length.
const streamPaths = '^/(metrology/stream|tool-state/stream|instrument-timeseries)/';
const halves = [streamPaths, `^(?!${streamPaths.slice(1)})`];
const roundExamplesMax = 500;
const msMax = 3_600_000;

const document = parse(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8')) as {
  paths: Record<string, Record<string, unknown>>;
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
);

let place: string;
const failures: string[] = [];
const report: Report = { calls: {}, excluded: {} };

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'metrology-api-'));
  const program = await installSchemathesis();
  const built = await buildServer();
  try {
    for (let left = examples, round = 0; left > 0; left -= roundExamplesMax, round++) {
      const startedAt = performance.now();
      await runRound(program, built.folder, Math.min(left, roundExamplesMax), seed + round);
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      console.log(`${Math.min(left, roundExamplesMax)} examples an operation, seed ${seed + round}, ${seconds} s`);
    }
  } finally {
    await built.remove();
  }
  print(report);
});

afterAll(() => rm(place, { recursive: true, force: true }));

/** Both halves against a server of their own: what thousands of requests have made slows down those that list it. */
async function runRound(program: string, builtFolder: string, roundExamples: number, roundSeed: number) {
  const folder = join(place, String(roundSeed));
  const server = await serve(builtFolder, {
    DATA_DIR: join(folder, 'data'),
    BOOTSTRAP_API_KEY: key,
    LOG_LEVEL: 'error',
    // A stream that one request finalizes must still take the chunks of the others.
    FINALIZE_GRACE_SECONDS: '31536000',
  });
  const { endpoint } = server;
  const common = { program, endpoint, key, examples: roundExamples, seed: roundSeed, msMax };
  const runs = halves.map((paths, i) => runSchemathesis({ ...common, paths, place: join(folder, String(i)) }));
  try {
    for (const { failure, report: half } of await Promise.all(runs)) {
      if (failure !== '') failures.push(failure);
      addTo(report.excluded, half.excluded);
      for (const [operation, counts] of Object.entries(half.calls)) {
        report.calls[operation] ??= {};
        addTo(report.calls[operation], counts);
      }
    }
  } finally {
    server.child.kill('SIGTERM');
    await server.exit();
    if (server.stderr() !== '') failures.push(`the server has logged:\n${server.stderr()}`);
    await rm(folder, { recursive: true, force: true });
  }
}

function addTo(sums: Record<string, number>, counts: Record<string, number>) {
  for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count;
}

const succeeded = (operation: string) => countOf(operation, /^2/);

function countOf(operation: string, status: RegExp): number {
  const counts = Object.entries(report.calls[operation] ?? {});
  return counts.reduce((sum, [name, count]) => sum + (status.test(name) ? count : 0), 0);
}

function print({ excluded }: Report) {
  console.log(`${'operation'.padEnd(70)}${'requests'.padStart(9)}${'2xx'.padStart(9)}`);
  for (const operation of operations) {
    const made = report.calls[operation]?.made ?? 0;
    console.log(`${operation.padEnd(70)}${String(made).padStart(9)}${String(succeeded(operation)).padStart(9)}`);
  }
  const total = operations.reduce((sum, operation) => sum + (report.calls[operation]?.made ?? 0), 0);
  console.log(`${total} requests`);
  for (const [reason, count] of Object.entries(excluded)) console.log(`excluded ${count} times: ${reason}`);
}

test('nothing is found wrong, and the server logs no error', () => {
  // A diff against '' would show the first line alone where only messages are printed.
  if (failures.length > 0) throw new Error(failures.join('\n'));
});

describe.each(operations)('%s', (operation) => {
  test('is answered 2xx at least once, and never 5xx', () => {
    expect(report.calls[operation]?.made ?? 0).toBeGreaterThanOrEqual(Math.min(3, examples));
    expect(succeeded(operation)).toBeGreaterThan(0);
    expect(countOf(operation, /^5/)).toBe(0);
  });
});
