import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { buildServer, type Server, serve } from '../built-server.ts';
import { installSchemathesis, type Report, runSchemathesis } from './schemathesis.ts';

/* Every operation of openapi.yaml, with all checks of schemathesis: what is answered is what the document says. */

const examples = Number(process.env.API_EXAMPLES ?? 100);
const seed = Number(process.env.API_SEED ?? 1);
const key = 'key-for-requests-that-are-made-up';
// Two runs beside each other, of about the same length.
const streamPaths = '^/(metrology/stream|tool-state/stream|instrument-timeseries)/';
const halves = [streamPaths, `^(?!${streamPaths.slice(1)})`];
const msMax = 300_000 + examples * 10_000;

const document = parse(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8')) as {
  paths: Record<string, Record<string, unknown>>;
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
);

let place: string;
let built: { folder: string; remove: () => Promise<void> };
let server: Server;
let failures: string[];
const report: Report = { calls: {}, excluded: {} };

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'metrology-api-'));
  const program = await installSchemathesis();
  built = await buildServer();
  server = await serve(built.folder, {
    DATA_DIR: join(place, 'data'),
    BOOTSTRAP_API_KEY: key,
    LOG_LEVEL: 'error',
    // A stream that one request finalizes must still take the chunks of the others.
    FINALIZE_GRACE_SECONDS: '31536000',
  });
  console.log(`${examples} examples an operation, seed ${seed}`);
  const runs = halves.map((paths, i) =>
    runSchemathesis({
      program,
      endpoint: server.endpoint,
      key,
      examples,
      seed,
      paths,
      place: join(place, `${i}`),
      msMax,
    }),
  );
  const results = await Promise.all(runs);
  failures = results.map(({ failure }) => failure).filter((failure) => failure !== '');
  for (const { report: half } of results) {
    Object.assign(report.calls, half.calls);
    for (const [reason, count] of Object.entries(half.excluded)) {
      report.excluded[reason] = (report.excluded[reason] ?? 0) + count;
    }
  }
  print(report);
});

afterAll(async () => {
  server?.child.kill('SIGTERM');
  await server?.exit();
  await built?.remove();
  if (place !== undefined) await rm(place, { recursive: true, force: true });
});

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

test('nothing is found wrong', () => {
  expect(failures.join('\n')).toBe('');
});

test('the server has logged no error', () => {
  expect(server.stderr()).toBe('');
});

describe.each(operations)('%s', (operation) => {
  test('is answered 2xx at least once, and never 5xx', () => {
    expect(report.calls[operation]?.made ?? 0).toBeGreaterThanOrEqual(Math.min(3, examples));
    expect(succeeded(operation)).toBeGreaterThan(0);
    expect(countOf(operation, /^5/)).toBe(0);
  });
});
