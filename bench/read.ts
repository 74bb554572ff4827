import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Bench } from './support/bench.ts';
import { download } from './support/download.ts';
import { fillOneStream } from './support/one-stream.ts';
import { compare } from './support/rounds.ts';
import type { Result, Row } from './support/row.ts';
import type { Target } from './support/target.ts';

const pointsPerChunk = 1_000;
const stringify = fileURLToPath(new URL('./targets/stringify.js', import.meta.url));

export const read: Row = {
  id: 'read',
  question: 'How long does a channel take to the last byte, against JSON.stringify of its arrays in memory?',
  run: async (bench) => [await readChannel(bench, 'a channel', false, { must: 3, aim: 1.5 })],
};

export const mixRead: Row = {
  id: 'mix-read',
  question: 'How long does a packed channel take to the last byte, against JSON.stringify of its arrays in memory?',
  run: async (bench) => [await readChannel(bench, 'a packed channel', true, { must: 2, aim: 1.3 })],
};

async function readChannel(
  bench: Bench,
  what: string,
  isMix: boolean,
  marks: { must: number; aim: number },
): Promise<Result> {
  const { readPoints, rounds } = bench.options;
  const result = await bench.on('ours', async (target) => {
    const stream = await fillOneStream(bench, target, { points: readPoints, pointsPerChunk, isMix });
    const path = join(bench.folder, 'answer.json');
    const answer = await readAll(target, stream);
    writeFileSync(path, answer.text);
    checkAnswer(answer.text, readPoints);
    return compare(
      bench,
      {
        title: `read of ${what} of ${readPoints.toLocaleString('en')} points, against JSON.stringify`,
        unit: 'ms',
        bound: { of: 'ratio', is: 'at most', ...marks },
      },
      {
        ours: {
          durability: 'from PostgreSQL to the last byte',
          round: async () => (await readAll(target, stream)).ms,
        },
        baseline: { durability: 'in memory, in a fresh process', round: () => stringifyOnce(path) },
      },
    );
  });
  bench.say(`${rounds} reads: ${result.rounds.ours.map((ms) => ms.toFixed(0)).join(', ')} ms`);
  return result;
}

async function readAll(target: Target, stream: string): Promise<{ ms: number; text: string }> {
  const pieces: Buffer[] = [];
  const ms = await download(target, `/tool-state/${stream}/timeseries/`, (piece) => pieces.push(piece));
  return { ms, text: Buffer.concat(pieces).toString('utf8') };
}

function checkAnswer(text: string, points: number): void {
  const { properties } = JSON.parse(text) as { properties: Record<string, Record<string, unknown>> };
  const arrays = Object.values(properties.thickness ?? {}).filter((value) => Array.isArray(value));
  if (arrays.length !== 3 || arrays.some((array) => array.length !== points)) {
    throw new Error(
      `the answer has arrays of ${arrays.map((array) => array.length).join(', ')} instead of 3 × ${points}`,
    );
  }
}

async function stringifyOnce(path: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [stringify, path]);
  const { ms, arrays } = JSON.parse(stdout) as { ms: number; arrays: number };
  if (arrays !== 3) throw new Error(`stringified ${arrays} arrays instead of 3`);
  return ms;
}
