import { Agent } from 'node:http';
import type { Answer, Question } from './ask.ts';
import type { Ground } from './ground.ts';
import { head, type Line } from './lines.ts';

/** Does the same on so many connections at once, watched; it ends with the time of the attack at the latest. */
export function attack(
  ground: Ground,
  count: number,
  options: { reads?: boolean },
  one: (line: Line, i: number) => Promise<void>,
): Promise<void> {
  return ground.watched(async () => {
    const lines = await ground.lines(count, options);
    ground.note(`${lines.length} connections`);
    // What is written to a server that does not read any more never returns.
    await Promise.race([Promise.all(lines.map(one)), ground.rest()]);
  });
}

/** Sends once on so many connections, and holds them without reading. */
export function hold(ground: Ground, count: number, bytes: (i: number) => string | Buffer): Promise<void> {
  return attack(ground, count, { reads: false }, (line, i) => line.send(bytes(i)));
}

/** Writes the same bytes up to `times` times. */
export async function pour(ground: Ground, line: Line, bytes: Buffer | string, times: number): Promise<void> {
  for (let i = 0; i < times && !ground.isOver() && line.isOpen(); i++) await line.send(bytes);
}

/** Sends pieces of `bytes` with a pause between them, to the end of the bytes or of the attack. */
export async function drip(
  ground: Ground,
  line: Line,
  bytes: Buffer,
  { pieceBytes = 1, everyMs = 100 }: { pieceBytes?: number; everyMs?: number } = {},
): Promise<void> {
  for (let at = 0; at < bytes.length && !ground.isOver() && line.isOpen(); at += pieceBytes) {
    await line.send(bytes.subarray(at, at + pieceBytes));
    await ground.rest(everyMs);
  }
}

export interface Flood {
  connections: number;
  method?: string;
  path: string | ((i: number) => string);
  question?: (i: number) => Question;
}

/** Sends requests one after the other on so many kept connections, without a pause. @returns what was answered */
export async function flood(
  ground: Ground,
  { connections, method = 'GET', path, question = () => ({}) }: Flood,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let sent = 0;
  const one = async () => {
    while (!ground.isOver()) {
      const i = sent++;
      const url = typeof path === 'string' ? path : path(i);
      answers.push(await ground.ask(method, url, { agent, ...question(i) }));
    }
  };
  try {
    // What is not answered by then is of no more interest here.
    await Promise.race([Promise.all(Array.from({ length: connections }, one)), ground.rest()]);
  } finally {
    agent.destroy();
  }
  return answers.filter(({ status }) => status !== 0);
}

/** Pipelines batches of requests on so many connections, each batch when the one before is answered. @returns how many were */
export async function pipeline(
  ground: Ground,
  connections: number,
  batch: (i: number) => string,
  batchSize: number,
): Promise<number> {
  const lines = await ground.lines(connections);
  const one = async (line: Line, i: number) => {
    while (!ground.isOver() && line.isOpen()) {
      const before = line.statuses().length;
      await line.send(batch(i));
      await line.untilAnswers(before + batchSize);
    }
  };
  await Promise.race([Promise.all(lines.map(one)), ground.rest()]);
  return lines.reduce((sum, line) => sum + line.statuses().length, 0);
}

/** Blames answers that are none of these statuses. */
export function expectStatuses(ground: Ground, what: string, answers: readonly Answer[], statuses: number[]): void {
  const odd = answers.filter(({ status }) => !statuses.includes(status));
  const [first] = odd;
  if (first !== undefined) {
    ground.blame(
      `${what}: ${odd.length} of ${answers.length} were answered ${first.status} ${first.body.slice(0, 200)}`,
    );
  }
}

export const slowest = (answers: readonly Answer[]) => Math.max(0, ...answers.map(({ ms }) => ms));

/** Headers of a JSON request under a key. */
export const jsonUnder = (key: string) => ({ 'X-API-KEY': key, 'Content-Type': 'application/json' });

export const chunkPath = '/tool-state/stream/chunk';
export const multiPath = '/tool-state/stream/chunk/multi';

export const get = (path: string, key?: string) => head('GET', path, key === undefined ? {} : { 'X-API-KEY': key });
