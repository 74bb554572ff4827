import type { Identity } from '../auth/store.ts';
import { limits } from '../config.ts';
import type { Database } from '../database/database.ts';
import { notFound, unavailable } from '../errors.ts';
import type { Metrics } from '../http/metrics.ts';
import { Batcher } from './batcher.ts';
import { toChunkImage } from './chunk-image.ts';
import { createFlush, type IngestResult, type Outcome, type Stored } from './flush.ts';
import { type RevisionAddress, readRevision } from './revision-store.ts';
import { type Arrival, channelKey, type IngestItem } from './rows.ts';
import type { ChunkReceipt, InitializeBody, StreamIds } from './schemas.ts';
import { finalizeStream, findLinks, insertStream } from './store.ts';

/*
 * What ingest guarantees is said where it is kept: the commit before the receipt, all or nothing, exact counters in
 * flush.ts; who waits for whom, and how much may wait, in batcher.ts.
 */
export interface StreamService {
  /** Opens a stream. 404 when the instrument, sample or project is not one of the organization's. */
  initialize(identity: Identity, body: InitializeBody): Promise<StreamIds>;
  /**
   * Stores the chunks of one index, one of each named channel, and returns their receipts in the order given, with what
   * became of each.
   * 404 for an unknown stream, 409 for a new chunk after the grace of a finalized one, 422 naming the offset that is no exact
   * integer, 503 when too much is waiting.
   */
  ingest(identity: Identity, dataId: string, chunkIndex: number, arrivals: Arrival[]): Promise<Acknowledgement>;
  /**
   * Writes again what a chunk held before it was replaced; that is a replacement like any other and keeps a revision too.
   * 404 for an unknown stream, channel, chunk or revision; 503 when too much is waiting.
   */
  restore(identity: Identity, revision: RevisionAddress): Promise<Acknowledgement>;
  /** Closes a stream; again is the same. 404 for an unknown one. */
  finalize(identity: Identity, dataId: string): Promise<StreamIds>;
  /** Takes no more chunks and resolves when those that it took are settled. */
  close(): Promise<void>;
}

export interface Acknowledgement {
  receipts: ChunkReceipt[];
  outcomes: Outcome[];
}

interface Options {
  database: Database;
  metrics: Pick<Metrics, 'chunks' | 'points' | 'watch'>;
  graceSeconds: number;
}

export function createStreamService({ database, metrics, graceSeconds }: Options): StreamService {
  const batcher = new Batcher<IngestItem, IngestResult>({
    flush: createFlush(database, graceSeconds),
    limits,
    now: () => performance.now(),
    repeat: asUnchanged,
    overload: (reason) => unavailable(`${reason}; nothing of this request was stored.`),
    inDoubt: (reason) => unavailable(`${reason}; the request may have been stored: send it again.`),
  });
  const help = 'that wait for a flush or are in one';
  metrics.watch('metrology_ingest_queue_chunks', `Chunks ${help}`, () => batcher.queued().rows);
  metrics.watch('metrology_ingest_queue_bytes', `Bytes of arrays ${help}`, () => batcher.queued().bytes);
  return {
    async initialize(identity, body) {
      const { organizationId, userId } = identity;
      await checkLinks(database, organizationId, body);
      return insertStream(database, organizationId, { ...body, user_id: userId, stream_name: streamName(body) });
    },

    ingest(identity, dataId, chunkIndex, arrivals) {
      const item = toItem(identity, dataId.toLowerCase(), chunkIndex, arrivals);
      return batcher.submit(item).then((result) => acknowledge(item, result, metrics));
    },

    async restore(identity, { dataId, ...address }) {
      const revision = { ...address, dataId: dataId.toLowerCase() };
      const readings = await readRevision(database, identity.organizationId, revision);
      if (readings === undefined) throw notFound('Revision');
      const arrival = { channelName: revision.channelName, image: toChunkImage(readings) };
      const item = toItem(identity, revision.dataId, revision.chunkIndex, [arrival]);
      // Not one with a late chunk that brings the same: that is refused, this is not.
      const rows = item.rows.map((row) => ({ ...row, content: `restored ${row.content}` }));
      const restoring = { ...item, rows, isRestoring: true };
      return acknowledge(restoring, await batcher.submit(restoring), metrics);
    },

    async finalize({ organizationId }, dataId) {
      const ids = await finalizeStream(database, organizationId, dataId);
      if (ids === undefined) throw notFound('Stream');
      return ids;
    },

    close: () => batcher.close(),
  };
}

/** What another request gets that brought the same: it has changed nothing. */
function asUnchanged(result: IngestResult): IngestResult {
  return new Map([...result].map(([channelName, stored]) => [channelName, { ...stored, outcome: 'unchanged' }]));
}

function acknowledge(item: IngestItem, result: IngestResult, metrics: Options['metrics']): Acknowledgement {
  const { dataId, chunkIndex } = item;
  const outcomes: Outcome[] = [];
  const receipts = item.arrivals.map(({ channelName, image }) => {
    const { outcome, totalPoints } = result.get(channelName) as Stored;
    outcomes.push(outcome);
    metrics.chunks.inc({ outcome });
    if (outcome !== 'unchanged') metrics.points.inc(image.pointCount);
    return { data_id: dataId, channel_name: channelName, chunk_index: chunkIndex, total_points: totalPoints };
  });
  return { receipts, outcomes };
}

async function checkLinks(database: Database, organizationId: string, body: InitializeBody): Promise<void> {
  const found = await findLinks(database, organizationId, body);
  if (body.synth_source_id != null && !found.instrument) throw notFound('Growth instrument');
  if (body.physical_sample_id != null && !found.sample) throw notFound('Physical sample');
  if (body.project_id != null && !found.project) throw notFound('Project');
}

function streamName(body: InitializeBody): string {
  if (body.stream_name?.trim()) return body.stream_name;
  return `Stream ${new Date().toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

function toItem(
  { organizationId, keyId }: Identity,
  dataId: string,
  chunkIndex: number,
  arrivals: Arrival[],
): IngestItem {
  const rows = arrivals.map(({ channelName, image }) => ({
    address: `${organizationId} ${chunkIndex} ${channelKey(dataId, channelName)}`,
    content: image.contentHash.toString('latin1'),
  }));
  const bytes = arrivals.reduce((sum, { image }) => sum + image.timestamps.length + image.values.length, 0);
  return { organizationId, keyId, dataId, chunkIndex, arrivals, isRestoring: false, rows, bytes };
}
