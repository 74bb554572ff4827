import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Identity } from '../auth/identity.ts';
import type { Origin } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import { diskFailure } from '../database/disk.ts';
import { isAway, passingFailure } from '../database/failures.ts';
import { imageBytes, type SeriesImage } from '../database/series-image.ts';
import { createPacker } from '../database/series-packer.ts';
import { ApiError, notFound, unavailable } from '../errors.ts';
import type { Metrics } from '../http/metrics.ts';
import { nextTurn } from '../lib/turns.ts';
import { Batcher } from './batcher.ts';
import { toChunkImage } from './chunk-image.ts';
import type { OnCommitted } from './committed.ts';
import { createFlush, type Flush, forgetWithConnections } from './flush.ts';
import { createIngestCalls } from './ingest-calls.ts';
import { type Arrival, channelKey, type IngestItem } from './ingest-rows.ts';
import { createKnownChannels } from './known-channels.ts';
import { type StreamLimits, streamLimits } from './limits.ts';
import { openStream } from './open-stream.ts';
import { type ChunkOutcome, type IngestResult, type Stored, TryAgain } from './outcomes.ts';
import { type RevisionAddress, readRevision } from './revision-store.ts';
import type { ChunkReceipt, InitializeBody, StreamIds } from './schemas.ts';
import { finalizeStream, type MemberLimits } from './store.ts';

/*
 * The guarantees of ingest are documented where they are kept. flush.ts: commit before receipt, all or nothing, exact
 * counters. batcher.ts: who waits for whom, and how much may wait.
 */
/*
 * Chunks, initialize and finalize wait while PostgreSQL is away, up to a deadline; then they get 503. The deadline
 * counts from `arrivedAt`, in milliseconds of `performance.now()`; the default is now.
 */
export interface StreamService {
  /**
   * Opens a stream. 404 when the instrument, sample or project is not one of the organization's, 409 when the sample
   * cannot be added to the project, 507 when the disk of the database has too little room left.
   */
  initialize(identity: Identity, body: InitializeBody, arrivedAt?: number): Promise<StreamIds>;
  /**
   * Stores the chunks of one index, one of each named channel, and returns their receipts in the order given, with what
   * became of each.
   * 404 for an unknown stream, 409 for a new chunk after the grace of a finalized one, 422 naming the offset that is no exact
   * integer, 503 when too much is waiting.
   */
  ingest(
    identity: Identity,
    dataId: string,
    chunkIndex: number,
    arrivals: Arrival[],
    arrivedAt?: number,
    originOf?: () => Origin,
  ): Promise<Acknowledgement>;
  /**
   * Writes again what a chunk held before it was replaced; that is a replacement like any other and keeps a revision too.
   * 404 for an unknown stream, channel, chunk or revision; 503 when too much is waiting.
   */
  restore(identity: Identity, revision: RevisionAddress, originOf?: () => Origin): Promise<Acknowledgement>;
  /** Closes a stream. A second call changes nothing. 404 for an unknown one. */
  finalize(identity: Identity, dataId: string, arrivedAt?: number): Promise<StreamIds>;
  /**
   * From now on nothing waits for a database that is away. Resolves when all accepted chunks have an outcome. Chunks of
   * requests that had already begun are still accepted.
   */
  close(): Promise<void>;
  /** After `close`, when no request is left: stops listening to the database, which others may go on using. */
  end?(): void;
  /** Clears the cache of channels, for a database that has been emptied. */
  forget?(): void;
}

export interface Acknowledgement {
  receipts: ChunkReceipt[];
  outcomes: ChunkOutcome[];
}

interface Options {
  database: Database;
  metrics: Pick<Metrics, 'chunks' | 'points' | 'chunkWaitSeconds' | 'watch'>;
  graceSeconds: number;
  /** The server's time, in milliseconds of Unix time; the true one by default. */
  now?: (() => number) | undefined;
  /** Makes a UUID, by default a random one. */
  newId?: (() => string) | undefined;
  limits?: Partial<StreamLimits> | undefined;
  /** Limits of the membership that a new stream creates: of its sample in its project. */
  memberLimits: MemberLimits;
  /** Called with what has been committed. */
  listeners?: readonly OnCommitted[];
  /** Called with what a listener throws. */
  report?(error: unknown): void;
}

const now = () => performance.now();
const packer = createPacker();

export function createStreamService(options: Options): StreamService {
  const { database, metrics, graceSeconds, memberLimits, listeners, report } = options;
  const { now: wallClock = Date.now, newId = randomUUID } = options;
  const limits: StreamLimits = { ...streamLimits, ...options.limits };
  const known = createKnownChannels(limits.knownChannelsMax);
  const stopListening = forgetWithConnections(known, database);
  const batcher = new Batcher<IngestItem, IngestResult>({
    flush: unlessFull(
      database,
      createFlush({
        ...{ database, graceSeconds, limits, now, known },
        ...(listeners && { listeners }),
        ...(report && { report }),
      }),
    ),
    explain: passingFailure,
    limits,
    now,
    untilBack: (cause, tries) => untilBack(database, limits, cause, tries),
    repeat: asUnchanged,
    overload: (reason) => unavailable(`${reason}; nothing of this request was stored.`),
    inDoubt: (reason) => unavailable(`${reason}; the request may have been stored: send it again.`),
  });
  const calls = createIngestCalls(database, limits, now);
  watchIngest(metrics, batcher, database);
  const submit = (item: IngestItem) => {
    const from = now();
    return batcher.submit(item).finally(() => metrics.chunkWaitSeconds.observe((now() - from) / 1_000));
  };
  return {
    async initialize(identity, body, arrivedAt = now()) {
      const refusal = database.disk.refusal();
      if (refusal !== undefined) throw new ApiError('insufficient_storage', `${refusal} No stream was opened.`);
      const organization = database.as(identity.organizationId);
      const fields = { ...body, user_id: identity.userId, stream_name: streamName(body, wallClock()) };
      const open = openStream(organization, fields, memberLimits, newId);
      return calls.run(organization.organizationId, arrivedAt, open);
    },

    ingest(identity, dataId, chunkIndex, arrivals, arrivedAt = now(), originOf = undefined) {
      const item = toItem(identity, dataId.toLowerCase(), chunkIndex, arrivals, arrivedAt, originOf);
      return submit(item).then((result) => {
        const answer = () => acknowledge(item, result, metrics);
        // A turn of its own for very many receipts, since the end of the flush has just taken one.
        return arrivals.length > limits.flushRowsMax ? nextTurn().then(answer) : answer();
      });
    },

    async restore(identity, revision, originOf) {
      const readings = await readRevision(database.as(identity.organizationId), revision);
      if (readings === undefined) throw notFound('Revision');
      const arrival = {
        channelName: revision.channelName,
        image: toChunkImage(readings, database.readiness.packs() ? packer : undefined),
      };
      const item = toItem(identity, revision.dataId, revision.chunkIndex, [arrival], now(), originOf);
      // Marked, so that a late chunk with the same readings is not taken for a repeat of this: it may be refused where this
      // is not.
      const slices = item.slices.map((slice) => ({ ...slice, content: `restored ${slice.content}` }));
      const restoring = { ...item, slices, isRestoring: true };
      return acknowledge(restoring, await submit(restoring), metrics);
    },

    async finalize({ organizationId }, dataId, arrivedAt = now()) {
      const organization = database.as(organizationId);
      const ids = await calls.run(organization.organizationId, arrivedAt, (patience) =>
        finalizeStream(organization, patience, dataId),
      );
      if (ids === undefined) throw notFound('Stream');
      return ids;
    },

    async close() {
      calls.close();
      await batcher.close();
    },
    end: stopListening,
    forget: () => known.forgetAll(),
  };
}

function watchIngest(
  metrics: Pick<Metrics, 'watch'>,
  batcher: Pick<Batcher<IngestItem, IngestResult>, 'queued'>,
  { outage }: Database,
): void {
  const help = 'that wait for a flush or are in one';
  metrics.watch('metrology_ingest_queue_chunks', `Chunks ${help}`, () => batcher.queued().rows);
  metrics.watch('metrology_ingest_queue_bytes', `Bytes of arrays ${help}`, () => batcher.queued().bytes);
  metrics.watch(
    'metrology_database_away_seconds',
    'How long ago the database was found away; 0 while it is there',
    () => (outage.ms() ?? 0) / 1_000,
  );
}

/** Sends nothing to PostgreSQL while its disk is full, since PostgreSQL needs what is left to go on. */
const unlessFull =
  ({ disk }: Database, flush: Flush): Flush =>
  async (items) => {
    const failure = diskFailure(disk);
    return failure === undefined ? flush(items) : items.map(() => new TryAgain('away', failure));
  };

/** Waits for a pause that grows with the tries, and then, if the database is away as a whole, until it is back. */
async function untilBack(
  { outage, disk }: Database,
  { awayRetryMs, awayRetryMsMax }: StreamLimits,
  cause: Error,
  tries: number,
): Promise<void> {
  disk.note(cause);
  if (isAway(cause)) outage.begin(cause);
  await sleep(Math.min(awayRetryMs * 2 ** tries, awayRetryMsMax), undefined, { ref: false });
  await outage.over();
}

/** The result of a request that repeats another one: it has changed nothing. */
function asUnchanged(result: IngestResult): IngestResult {
  return new Map([...result].map(([channelName, stored]) => [channelName, { ...stored, outcome: 'unchanged' }]));
}

function acknowledge(item: IngestItem, result: IngestResult, metrics: Options['metrics']): Acknowledgement {
  const { dataId, chunkIndex } = item;
  const outcomes: ChunkOutcome[] = [];
  // Metrics are counted once for each outcome, not for each of 10,000 channels.
  const chunks = new Map<ChunkOutcome, number>();
  let points = 0;
  const receipts = item.arrivals.map(({ channelName, image }) => {
    const { outcome, totalPoints } = result.get(channelName) as Stored;
    outcomes.push(outcome);
    chunks.set(outcome, (chunks.get(outcome) ?? 0) + 1);
    if (outcome !== 'unchanged') points += image.pointCount;
    return { data_id: dataId, channel_name: channelName, chunk_index: chunkIndex, total_points: totalPoints };
  });
  for (const [outcome, count] of chunks) metrics.chunks.inc({ outcome }, count);
  if (points > 0) metrics.points.inc(points);
  return { receipts, outcomes };
}

function streamName(body: InitializeBody, now: number): string {
  if (body.stream_name?.trim()) return body.stream_name;
  return `Stream ${new Date(now).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

function toItem(
  { organizationId, keyId }: Identity,
  dataId: string,
  chunkIndex: number,
  arrivals: Arrival[],
  arrivedAt: number,
  originOf: (() => Origin) | undefined,
): IngestItem {
  const slices = arrivals.map(({ channelName, image }) => {
    const channel = `${organizationId} ${channelKey(dataId, channelName)}`;
    return { address: `${chunkIndex} ${channel}`, channel, content: image.contentHash.toString('latin1') };
  });
  const bytes = arrivals.reduce((sum, { image }) => sum + sizeOf(image.timestamps) + sizeOf(image.values), 0);
  return {
    organizationId,
    keyId,
    dataId,
    chunkIndex,
    arrivals,
    isRestoring: false,
    originOf,
    slices,
    bytes,
    arrivedAt,
  };
}

/** A series takes some memory even without bytes: regular times have no residuals. */
const sizeOf = (image: SeriesImage) => imageBytes(image).length + seriesBytes;
const seriesBytes = 44;
