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
import { Batcher, TryAgain } from './batcher.ts';
import { toChunkImage } from './chunk-image.ts';
import type { OnCommitted } from './committed.ts';
import { createFlush, type Flush, forgetWithConnections } from './flush.ts';
import { createIngestCalls } from './ingest-calls.ts';
import { type Arrival, channelKey, type IngestItem } from './ingest-rows.ts';
import { createKnownChannels } from './known-channels.ts';
import { type StreamLimits, streamLimits } from './limits.ts';
import type { ChunkOutcome, IngestResult, Stored } from './outcomes.ts';
import { type RevisionAddress, readRevision } from './revision-store.ts';
import type { ChunkReceipt, InitializeBody, StreamIds } from './schemas.ts';
import { type FoundLinks, finalizeStream, findOwnLinks, insertStream, type MemberLimits } from './store.ts';

/*
 * What ingest guarantees is said where it is kept: the commit before the receipt, all or nothing, exact counters in
 * flush.ts; who waits for whom, and how much may wait, in batcher.ts.
 */
/*
 * Chunks, initialize and finalize wait while PostgreSQL is away, each until some time after its arrival: `arrivedAt`, in
 * milliseconds of `performance.now()`; when it is not given, they have just come. 503 when that time is over.
 */
export interface StreamService {
  /**
   * Opens a stream. 404 when the instrument, sample or project is not one of the organization's, 409 when the sample cannot become one of the project's,
   * 507 when the disk of the database has too little room left.
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
  /** Closes a stream; again is the same. 404 for an unknown one. */
  finalize(identity: Identity, dataId: string, arrivedAt?: number): Promise<StreamIds>;
  /**
   * From now on nothing waits for a database that is away. Resolves when all that was taken is settled; what comes later,
   * of requests that had begun by now, is taken all the same.
   */
  close(): Promise<void>;
  /** After `close`, when no request is left: lets go of the database, which others may go on with. */
  end?(): void;
  /** Forgets what it remembers of channels: somebody has emptied the database. */
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
  /** A new UUID, by chance by default. */
  newId?: (() => string) | undefined;
  limits?: Partial<StreamLimits> | undefined;
  /** Of what a new stream makes a member: its sample of its project. */
  memberLimits: MemberLimits;
  /** Who is told of what has been committed. */
  listeners?: readonly OnCommitted[];
  /** Is given what one of them throws. */
  report?(error: unknown): void;
}

const now = () => performance.now();
const packer = createPacker();

export function createStreamService(options: Options): StreamService {
  const { database, metrics, graceSeconds, memberLimits, listeners, report } = options;
  const { now: wallClock = Date.now, newId = randomUUID } = options;
  const limits: StreamLimits = { ...streamLimits, ...options.limits };
  const known = createKnownChannels(limits.knownChannelsMax);
  const letGo = forgetWithConnections(known, database);
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
      // Chosen here, so that an attempt whose answer is lost and the next one make the same stream.
      const ids = { data_id: newId(), processed_data_id: newId() };
      const stream = { ...body, ...ids, user_id: identity.userId, stream_name: streamName(body, wallClock()) };
      return calls.run(organization.organizationId, arrivedAt, async (patience) => {
        checkLinks(body, await findOwnLinks(organization, patience, body, memberLimits), memberLimits);
        return insertStream(organization, patience, stream);
      });
    },

    ingest(identity, dataId, chunkIndex, arrivals, arrivedAt = now(), originOf = undefined) {
      const item = toItem(identity, dataId.toLowerCase(), chunkIndex, arrivals, arrivedAt, originOf);
      return submit(item).then((result) => {
        const answer = () => acknowledge(item, result, metrics);
        // A flush has just settled them; the receipts of 10,000 channels are work of their own.
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
      // Not one with a late chunk that brings the same: that is refused, this is not.
      const rows = item.rows.map((row) => ({ ...row, content: `restored ${row.content}` }));
      const restoring = { ...item, rows, isRestoring: true };
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
    end: letGo,
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

/** Nothing is sent to PostgreSQL while its disk is full: what is left there is what it goes on with. */
const unlessFull =
  ({ disk }: Database, flush: Flush): Flush =>
  async (items) => {
    const failure = diskFailure(disk);
    return failure === undefined ? flush(items) : items.map(() => new TryAgain('away', failure));
  };

/** A pause that grows with the tries, and then, where the database is away as a whole, until it is back. */
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

/** What another request gets that brought the same: it has changed nothing. */
function asUnchanged(result: IngestResult): IngestResult {
  return new Map([...result].map(([channelName, stored]) => [channelName, { ...stored, outcome: 'unchanged' }]));
}

function acknowledge(item: IngestItem, result: IngestResult, metrics: Options['metrics']): Acknowledgement {
  const { dataId, chunkIndex } = item;
  const outcomes: ChunkOutcome[] = [];
  // Counted once for all, not for each of 10,000 channels.
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

function checkLinks(body: InitializeBody, found: FoundLinks, limits: MemberLimits): void {
  if (body.synth_source_id != null && !found.instrument) throw notFound('Growth instrument');
  if (body.physical_sample_id != null && !found.sample) throw notFound('Physical sample');
  if (body.project_id != null && !found.project) throw notFound('Project');
  const full = (sentence: string) => new ApiError('conflict', `${sentence}; no stream was opened.`);
  if (found.isProjectFull) throw full(`A project has at most ${limits.projectSamplesMax} samples (projectSamplesMax)`);
  if (found.isSampleFull) throw full(`A sample has at most ${limits.sampleProjectsMax} projects (sampleProjectsMax)`);
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
  const rows = arrivals.map(({ channelName, image }) => {
    const channel = `${organizationId} ${channelKey(dataId, channelName)}`;
    return { address: `${chunkIndex} ${channel}`, channel, content: image.contentHash.toString('latin1') };
  });
  const bytes = arrivals.reduce((sum, { image }) => sum + sizeOf(image.timestamps) + sizeOf(image.values), 0);
  return { organizationId, keyId, dataId, chunkIndex, arrivals, isRestoring: false, originOf, rows, bytes, arrivedAt };
}

/** Regular times have no residuals, and take room all the same. */
const sizeOf = (image: SeriesImage) => imageBytes(image).length + seriesBytes;
const seriesBytes = 44;
