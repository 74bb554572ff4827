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
    /** That of a read: every GET and HEAD under a key. Other requests have none; asking it there throws. */
    place: Place;
  }
}

const readMethods = ['GET', 'HEAD'];

const places = new WeakMap<FastifyRequest, Place>();

/** Whether a read has ended before it was answered: then there is nobody to be told of an error, and it may be of no one. */
export const hasGone = (request: FastifyRequest) => places.get(request)?.reading.signal.aborted === true;

/**
 * Gives every read its place before its handler runs, and takes it back when the answer has been written or its client has
 * gone. Whoever waits for a place, or at anything later, is told by the signal of the place when its client goes.
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
  // An answer that waits for those before it on its connection has no socket yet, and is not told of its end.
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
    // Hundreds may end their wait in one moment, with a proxy or with their time, and to answer each takes 0.3 ms.
    await new Promise<void>((go) => refusals.run(request.identity.organizationId, 1, go));
    throw error;
  } finally {
    socket.off('end', endWait);
  }
  // It may have gone in the moment in which it was given a place: its connection ends all of its reads, and one makes room for the next.
  if (!gone.signal.aborted && !socket.destroyed) return place;
  place.leave();
  throw new ClientGone();
}

/**
 * A connection that has sent requests ahead is not read, so that its reset goes unnoticed until something is written to it: all of
 * its reads that wait would begin. What is written here is nothing, and the system refuses it all the same.
 */
async function noticeReset(socket: Socket): Promise<void> {
  // What waits to be written will notice it too. A request that is injected comes over no connection.
  if (!socket.writable || socket.writableLength !== 0) return;
  await new Promise<void>((resolve) => {
    socket.write('', () => resolve());
  });
}

/** It may still read, or be gone for good, which nobody can tell before something is written (docs/decisions/0036). */
const halfClosed =
  'There is no room for this read now, and its client has closed its half of the connection: it is not kept waiting.';

/** What a read of a request has: the database of its organization, whose waits and statements end with the read. */
export function readFor(
  database: Database,
  request: FastifyRequest,
): { organization: OrganizationDatabase; reading: Reading } {
  const { reading } = request.place;
  const { organizationId } = request.identity;
  return { organization: database.as(organizationId, reading.signal, actorFor(request)), reading };
}
