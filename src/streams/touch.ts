import { groupBy } from '../lib/group-by.ts';
import { type ChunkRun, touchChunks } from './chunk-store.ts';
import type { CommittedChunk, OnCommitted } from './committed.ts';
import type { FlushDependencies } from './flush-dependencies.ts';

/** `delayMs` is how long after the commit of the first of them rows are touched. */
type TouchOptions = Pick<FlushDependencies, 'pool' | 'patience'> & {
  delayMs: number;
  isDistributed(): Promise<boolean>;
};

/**
 * Touches rows that have been written (touchChunks), those of several flushes with one statement. Nothing waits for it.
 * If it fails, the next reader of these rows marks them instead.
 */
export function createTouch({ delayMs, isDistributed, ...deps }: TouchOptions): OnCommitted {
  let waiting: ChunkRun[] | undefined;

  function send(): void {
    const runs = joinRuns(waiting as ChunkRun[]);
    waiting = undefined;
    touchRuns(runs).catch(() => {});
  }

  async function touchRuns(runs: ChunkRun[]): Promise<void> {
    if (!(await isDistributed())) return touchChunks({ ...deps, form: 'any streams' }, runs);
    // One stream after the other, so that this takes one connection.
    for (const some of groupBy(runs, ({ dataId }) => dataId).values()) {
      await touchChunks({ ...deps, form: 'one stream' }, some).catch(() => {});
    }
  }

  return (chunks) => {
    if (waiting === undefined) {
      waiting = [];
      setTimeout(send, delayMs).unref();
    }
    for (const chunk of chunks) waiting.push(runOf(chunk));
  };
}

const runOf = ({ item: { dataId, chunkIndex }, channelId }: CommittedChunk): ChunkRun => ({
  ...{ dataId, channelId, firstIndex: chunkIndex, lastIndex: chunkIndex },
});

/**
 * Joins runs of a channel that touch or overlap: PostgreSQL looks up each run once, and then walks along the index. A
 * gap is not bridged, since any number of chunks may be stored in it.
 */
export function joinRuns(runs: readonly ChunkRun[]): ChunkRun[] {
  const joined: ChunkRun[] = [];
  for (const run of runs.toSorted(inOrder)) {
    const last = joined.at(-1);
    const follows =
      last?.channelId === run.channelId && last.dataId === run.dataId && run.firstIndex <= last.lastIndex + 1;
    if (follows) last.lastIndex = Math.max(last.lastIndex, run.lastIndex);
    else joined.push({ ...run });
  }
  return joined;
}

const inOrder = (one: ChunkRun, other: ChunkRun) =>
  one.channelId - other.channelId || one.firstIndex - other.firstIndex;
