import { setTimeout as sleep } from 'node:timers/promises';
import { type Generation, type SentAsSdk, sendAsSdk } from '../../faults/support/as-sdk.ts';
import { type ChunkRequest, openStream, prefixes } from '../../faults/support/chunks.ts';
import type { Client } from '../../faults/support/client.ts';
import type { Run } from '../../faults/support/run.ts';

/** Writers that push at a steady pace, whatever became of what they pushed before: as `push` of the SDK, which waits for nothing. */
export interface Writers {
  pushed(): number;
  stored(): number;
  /** Chunks that the SDK would have dropped, by what the last try was told. */
  givenUp(): ReadonlyMap<string, number>;
  /** Comes back when a chunk that is first tried from now on is acknowledged. */
  untilStored(): Promise<void>;
  /**
   * Since the last call of this, in ms: the longest time from the first try of a chunk to its acknowledgement, and the longest
   * in which nothing was acknowledged.
   */
  longest(): { chunkMs: number; gapMs: number };
  /** Pushes nothing more and waits for what is under way. */
  stop(): Promise<void>;
}

export interface WritersOptions {
  client: Client;
  generation: Generation;
  writers: number;
  /** Of each writer. */
  chunksPerSecond: number;
}

export async function startWriters(
  run: Run,
  { client, generation, writers, chunksPerSecond }: WritersOptions,
): Promise<Writers> {
  const dataId = await openStream(client, run.random.pick(prefixes), 50);
  const givenUp = new Map<string, number>();
  const underWay = new Set<Promise<void>>();
  const waiting: { from: number; resolve: () => void }[] = [];
  const longest = { chunkMs: 0, gapMs: 0 };
  let [pushed, stored, storedAt, isOver] = [0, 0, performance.now(), false];

  function note({ isGivenUp, answer, failure }: SentAsSdk, startedAt: number): void {
    if (isGivenUp) {
      const told = answer === undefined ? String(failure?.message) : `${answer.status} ${answer.body.slice(0, 120)}`;
      givenUp.set(told, (givenUp.get(told) ?? 0) + 1);
      return;
    }
    stored++;
    const now = performance.now();
    longest.chunkMs = Math.max(longest.chunkMs, now - startedAt);
    longest.gapMs = Math.max(longest.gapMs, now - storedAt);
    storedAt = now;
    for (const one of waiting.splice(0)) {
      if (startedAt < one.from) waiting.push(one);
      else one.resolve();
    }
  }

  async function push(writer: number, number: number): Promise<void> {
    const width = run.random.pick([1, 1, 3]);
    const request: ChunkRequest = {
      dataId,
      index: number * writers + writer,
      channels: Array.from({ length: width }, (_, i) => [`c${i}`, run.newContent()] as const),
      prefix: run.random.pick(prefixes),
    };
    const startedAt = performance.now();
    note(await sendAsSdk(client, run.history, `${generation.name}, writer ${writer}`, request, generation), startedAt);
  }

  async function write(writer: number): Promise<void> {
    for (let number = 0; !isOver; number++) {
      pushed++;
      const pushing = push(writer, number).finally(() => underWay.delete(pushing));
      underWay.add(pushing);
      await sleep(1_000 / chunksPerSecond);
    }
  }

  const writing = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  return {
    pushed: () => pushed,
    stored: () => stored,
    givenUp: () => givenUp,
    untilStored: () => new Promise((resolve) => waiting.push({ from: performance.now(), resolve })),
    longest() {
      const told = { ...longest };
      Object.assign(longest, { chunkMs: 0, gapMs: 0 });
      return told;
    },
    async stop() {
      isOver = true;
      await writing;
      await Promise.all(underWay);
    },
  };
}

export const sum = (counts: ReadonlyMap<string, number>) => [...counts.values()].reduce((all, count) => all + count, 0);
