import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { sendAndCheck } from './properties/check.ts';
import { type Operation, readOperations } from './properties/document.ts';
import { mutated } from './properties/mutations.ts';
import { validRequests } from './properties/requests.ts';
import { type Known, makeThings } from './properties/things.ts';

/* Every operation of openapi.yaml, in process: whatever is made up of its schemas, what is answered is what they say. */

const examples = Number(process.env.API_EXAMPLES ?? 100);
const seed = Number(process.env.API_SEED ?? 1);
// What requests have made slows down those that list it, so each round has a database of its own.
const roundExamplesMax = 200;
// While one waits for PostgreSQL, the others make up requests.
const operationsAtOnce = 8;
// A failure is made smaller with no more requests than this.
const shrinkRequestsMax = 300;
const unknownToAll: Known = {};

const operations = readOperations();
const counts = new Map(operations.map(({ name }) => [name, new Map<number, number>()]));
const failures = new Map(operations.map(({ name }) => [name, [] as string[]]));

beforeAll(async () => {
  const startedAt = performance.now();
  for (let left = examples, round = 0; left > 0; left -= roundExamplesMax, round++) {
    await runRound(Math.min(left, roundExamplesMax), seed + round);
  }
  print((performance.now() - startedAt) / 1_000);
});

async function runRound(roundExamples: number, roundSeed: number) {
  // A stream that one request finalizes must still take the chunks of the others.
  const server = await startTestServer({ FINALIZE_GRACE_SECONDS: 31_536_000 });
  try {
    const knownTo = await makeThings(server, roundExamples);
    const waiting = operations.entries();
    const work = async () => {
      for (const [index, one] of waiting) {
        // Operations with the same schemas get other requests nevertheless.
        const operationSeed = roundSeed * operations.length + index;
        const numRuns = hasInput(one) ? roundExamples : Math.ceil(roundExamples / 10);
        const wrong = await firstWrong(server, one, knownTo(one), { numRuns, seed: operationSeed });
        if (wrong !== '') failures.get(one.name)?.push(`--seed ${roundSeed} --examples ${roundExamples}: ${wrong}`);
      }
    };
    await Promise.all(Array.from({ length: operationsAtOnce }, work));
  } finally {
    await server.close();
  }
}

/** Of the others only keys and unknown queries can be made up. */
const hasInput = ({ body, parameters }: Operation) => body !== undefined || parameters.length > 0;

/** @returns the smallest request that is answered wrongly, with its answer; empty when there is none */
async function firstWrong(
  server: TestServer,
  operation: Operation,
  known: Known,
  options: { numRuns: number; seed: number },
): Promise<string> {
  const existing = validRequests(operation, known);
  const madeUp = validRequests(operation, unknownToAll);
  const requests = fc.oneof(
    { arbitrary: existing, weight: 2 },
    { arbitrary: madeUp, weight: 1 },
    { arbitrary: mutated(operation, existing), weight: 2 },
    { arbitrary: mutated(operation, madeUp), weight: 1 },
  );
  let requestsLeft = Number.POSITIVE_INFINITY;
  const property = fc.asyncProperty(requests, async (request) => {
    if (requestsLeft-- <= 0) return;
    const { status, wrong } = await sendAndCheck(server, operation, request);
    count(operation.name, status);
    if (wrong === '') return;
    requestsLeft = Math.min(requestsLeft, shrinkRequestsMax);
    throw new Error(wrong);
  });
  const { errorInstance } = await fc.check(property, options);
  return errorInstance instanceof Error ? errorInstance.message : String(errorInstance ?? '');
}

function count(name: string, status: number) {
  const sums = counts.get(name) as Map<number, number>;
  sums.set(status, (sums.get(status) ?? 0) + 1);
}

function print(seconds: number) {
  let total = 0;
  for (const [name, sums] of counts) {
    const statuses = [...sums].sort(([a], [b]) => a - b);
    for (const [, sum] of statuses) total += sum;
    console.log(`${name.padEnd(70)} ${statuses.map(([status, sum]) => `${status}: ${sum}`).join('  ')}`);
  }
  const speed = Math.round(total / seconds);
  console.log(`${total} requests, seed ${seed}, ${Math.round(seconds)} s, ${speed} requests a second`);
}

describe.each(operations)('$name', ({ name }) => {
  test('is answered as the document says', () => {
    expect(failures.get(name)?.join('\n')).toBe('');
  });

  test.runIf(examples >= 100)('is answered 2xx at least once', () => {
    const taken = [...(counts.get(name) ?? [])].filter(([status]) => status < 300);
    expect(taken).not.toEqual([]);
  });
});
