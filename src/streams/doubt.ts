/*
 * Requests that were sent to PostgreSQL and whose answer was lost. They may have been stored, or a session whose
 * connection was lost may still store them. A read under the locks of their channels finds out which. A lost session that
 * is still at work holds these locks, so the read waits for it. Chunks that turn out not to be stored are written under the
 * same locks. So a lost session that begins later finds the slices taken and stores nothing.
 */
import type pg from 'pg';
import { inTransaction } from '../database/transactions.ts';
import type { RequestOutcomes } from './apart.ts';
import { lockChannels } from './channel-store.ts';
import { readAddresses } from './chunk-store.ts';
import { type DoubtfulChunk, readClockSeconds, readDoubtfulChunks } from './doubt-store.ts';
import type { FlushDependencies } from './flush-dependencies.ts';
import { type FoundRow, type IngestItem, type KnownRow, sliceOf } from './ingest-rows.ts';
import { byRequest, type ChunkOutcome, overtakenError, type Stored } from './outcomes.ts';
import { refusalOf, rowsOf, withChannels, writeRows } from './write-chunks.ts';

/**
 * What that read finds for a chunk: its outcome; or 'not stored'; or 'overtaken': it was not stored, and another
 * request has stored other content since. That content was acknowledged, so it stays.
 */
type Finding = ChunkOutcome | 'not stored' | 'overtaken';

/** @param now milliseconds, on the clock of `inDoubtSince` */
export async function resolveDoubt(
  deps: FlushDependencies,
  items: IngestItem[],
  now: () => number,
): Promise<RequestOutcomes> {
  const found = await readAddresses(deps, rowsOf(items));
  const outcomes: RequestOutcomes = new Map();
  const withoutChannels: FoundRow[] = [];
  for (const item of items) {
    const own = found.filter((row) => row.item === item);
    const refusal = refusalOf(item, own);
    if (refusal === undefined) withoutChannels.push(...own);
    else outcomes.set(item, refusal);
  }
  if (withoutChannels.length === 0) return outcomes;
  const rows = await withChannels(deps, withoutChannels);
  const { stored, overtaken } = await inTransaction(
    deps.pool,
    async (client) => resolveUnderLock(client, deps, rows, now),
    deps.patience,
  );
  deps.onCommitted(stored);
  for (const [item, result] of byRequest(stored)) outcomes.set(item, result);
  for (const [item, channelNames] of overtaken) outcomes.set(item, overtakenError(channelNames));
  return outcomes;
}

async function resolveUnderLock(
  client: pg.PoolClient,
  deps: FlushDependencies,
  rows: KnownRow[],
  now: () => number,
): Promise<{ stored: (KnownRow & Stored)[]; overtaken: Map<IngestItem, string[]> }> {
  await lockChannels(client, rows, deps.form);
  const offsetSeconds = await clockOffset(client, now);
  const sentSeconds = ({ item }: KnownRow) => offsetSeconds + (item.inDoubtSince ?? now()) / 1_000;
  const chunks = await readDoubtfulChunks(client, rows, sentSeconds, deps.form);
  const findings = new Map(rows.map((row) => [row, judge(row, chunks.get(sliceOf(row)))]));
  const overtaken = new Map<IngestItem, string[]>();
  for (const [{ item, channelName }, finding] of findings) {
    if (finding === 'overtaken') overtaken.set(item, [...(overtaken.get(item) ?? []), channelName]);
  }
  const rest = rows.filter(({ item }) => !overtaken.has(item));
  const missing = rest.filter((row) => findings.get(row) === 'not stored');
  const written = missing.length > 0 ? await writeRows(client, missing, deps) : [];
  const totals = new Map(written.map(({ channelId, totalPoints }) => [channelId, totalPoints]));
  const there = rest
    .filter((row) => findings.get(row) !== 'not stored')
    .map((row) => ({
      ...row,
      outcome: findings.get(row) as ChunkOutcome,
      totalPoints: totals.get(row.channelId) ?? (chunks.get(sliceOf(row)) as DoubtfulChunk).channelPointCount,
    }));
  return { stored: [...there, ...written], overtaken };
}

/**
 * How far the database's clock is ahead of `now`, in seconds. The result is too small by the time that an answer takes
 * to arrive; the fastest of several answers is used. Too small is the safe side: all that was stored since a row was
 * sent counts as such.
 */
async function clockOffset(client: pg.PoolClient, now: () => number): Promise<number> {
  let offset = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < clockReadings; i++) {
    const seconds = await readClockSeconds(client);
    offset = Math.max(offset, seconds - now() / 1_000);
  }
  return offset;
}

const clockReadings = 3;

function judge({ image }: KnownRow, chunk: DoubtfulChunk | undefined): Finding {
  if (chunk === undefined) return 'not stored';
  if (chunk.contentHash.equals(image.contentHash)) {
    if (!chunk.isRecent) return 'unchanged';
    return chunk.replacedCount === 0 ? 'created' : 'replaced';
  }
  // This row's content was stored, and has been replaced since.
  if (chunk.ownRevision !== null) return chunk.ownRevision === 1 ? 'created' : 'replaced';
  return chunk.isRecent ? 'overtaken' : 'not stored';
}
