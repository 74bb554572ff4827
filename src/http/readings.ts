import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Database } from '../database/database.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { unavailable } from '../errors.ts';
import { createFairTurns, type FairTurns } from '../lib/fair-turns.ts';
import type { Reading } from '../lib/reading.ts';
import { actorFor } from './actor.ts';
import type { HttpLimits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import { ClientGone, createReadingRoom, type Place, type ReadingRoom } from './reading-room.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The place of a read: of every GET and HEAD with a key. Other requests have none, and the getter throws. */
    place: Place;
  }
}

const readMethods = ['GET', 'HEAD'];

const places = new WeakMap<FastifyRequest, Place>();

/**
 * Whether a read was aborted before it was answered. Then an error need not be answered, and may only be its
 * consequence.
 */
export const hasGone = (request: FastifyRequest) => places.get(request)?.reading.signal.aborted === true;

/**
 * Gives every read a place before its handler runs, and takes it back when the answer is written or the client has
 * gone. When the client goes, the signal of the place aborts every wait of the read, that for the place included.
 */
export function boundReads(app: FastifyInstance, limits: HttpLimits, metrics: Metrics): void {
  const room = createReadingRoom(limits);
  const refusals = createFairTurns(limits.requestsPerTurnMax);
  app.decorateRequest('place', {
    getter(this: FastifyRequest) {
      const place = places.get(this);
      if (place === undefined) throw new Error(`${this.method} ${this.routeOptions.url} is no read`);
      return place;
    },
  });
  app.addHook('preHandler', async (request, reply) => {
    const isRead = readMethods.includes(request.method) && !request.routeOptions.config.open && !request.is404;
    if (isRead) places.set(request, await enter(room, refusals, request, reply));
  });
  app.addHook('onResponse', async (request) => places.get(request)?.leave());
  app.addHook('onClose', async () => room.close());
  metrics.watch('metrology_reads', 'Reads that have a place', () => room.counts().reads);
  metrics.watch('metrology_reads_waiting', 'Reads that wait for room', () => room.counts().waiting);
  metrics.watch('metrology_large_read_bytes', 'Bytes that reads hold beyond the usual', () => room.counts().largeBytes);
}

async function enter(
  room: ReadingRoom,
  refusals: FairTurns,
  request: FastifyRequest,
  { raw }: FastifyReply,
): Promise<Place> {
  const gone = new AbortController();
  const wait = new AbortController();
  const { socket } = request.raw;
  let place: Place | undefined;
  const end = () => {
    socket.off('close', end);
    wait.abort(new ClientGone());
    gone.abort(new ClientGone());
    place?.leave();
  };
  const endWait = () => wait.abort(unavailable(halfClosed));
  raw.once('close', end);
  // An answer that waits for earlier ones on its connection has no socket yet, so it does not emit `close` itself.
  socket.once('close', end);
  if (raw.destroyed || socket.destroyed) end();
  const cut = () => {
    request.log.info({ url: request.url }, 'a read was cut off: its client took nothing, and others wait for its room');
    socket.destroy();
  };
  socket.once('end', endWait);
  if (socket.readableEnded) setImmediate(endWait);
  try {
    const turn = room.enter(request.identity.organizationId, gone.signal, cut, wait.signal);
    const isAtOnce = room.counts().waiting === 0;
    place = await turn;
    if (!isAtOnce) await noticeReset(socket);
  } catch (error) {
    // Hundreds of waits may end at the same moment, by the end of a proxy or by their deadline. Each answer takes 0.3
    // ms, so they are spread over turns of the event loop.
    await new Promise<void>((go) => refusals.run(request.identity.organizationId, 1, go));
    throw error;
  } finally {
    socket.off('end', endWait);
  }
  // The client may have gone while the place was granted. The end of a connection ends all of its reads, and each gives
  // its place to the next.
  if (!gone.signal.aborted && !socket.destroyed) return place;
  place.leave();
  throw new ClientGone();
}

/**
 * Detects a reset connection before a read begins. While requests were sent ahead their connection is not read, so a
 * reset goes unnoticed until something is written, and all of its waiting reads would begin. An empty write is enough:
 * the system refuses that too.
 */
async function noticeReset(socket: Socket): Promise<void> {
  // Data that is already being written will detect the reset too. An injected request (in tests) has no connection.
  if (!socket.writable || socket.writableLength !== 0) return;
  await new Promise<void>((resolve) => {
    socket.write('', () => resolve());
  });
}

/** A client that has closed its half may still read, or be gone; only a write can tell (docs/decisions/0036). */
const halfClosed =
  'There is no room for this read now, and its client has closed its half of the connection: it is not kept waiting.';

/**
 * The database handle of a read's organization, and its `Reading`. Waits and statements of the handle are aborted with
 * the read. They may go to a replica.
 */
export function readFor(
  database: Database,
  request: FastifyRequest,
): { organization: OrganizationDatabase; reading: Reading } {
  const { reading } = request.place;
  const { organizationId } = request.identity;
  return { organization: database.readingAs(organizationId, reading.signal, actorFor(request)), reading };
}

/** For what a read writes, such as an entry of the audit log: the same on the primary. */
export const writeWithin = (database: Database, request: FastifyRequest): OrganizationDatabase =>
  database.as(request.identity.organizationId, request.place.reading.signal, actorFor(request));
