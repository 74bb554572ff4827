import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Database } from '../database/database.ts';
import { notFound } from '../errors.ts';
import type { App } from '../http/app-type.ts';
import { DataIdPath } from '../http/data-id.ts';
import { readFor } from '../http/readings.ts';
import { refusals } from '../http/schemas.ts';
import type { Feed } from './feed.ts';
import { heartbeat, latestJson, statusFrame } from './frames.ts';
import type { LiveLimits } from './limits.ts';
import type { ListFeed } from './list-feed.ts';
import type { Micros } from './run-facts.ts';
import { LatestAnswer, LiveOfSeveralQuery, LiveQuery, RunEvents, SeveralEvents } from './schemas.ts';
import { findFollowedRun, readChannels } from './store.ts';
import type { Subscriber, Subscribers } from './subscribers.ts';

export interface LiveDependencies {
  database: Database;
  feed: Feed;
  lists: ListFeed;
  subscribers: Subscribers;
  /** Whether the key of a request still opens this route. */
  mayGoOn(request: FastifyRequest): Promise<boolean>;
  idleSeconds: number;
  limits: LiveLimits;
}

const tags = ['live'];

/** The prefixes of all routes that read one stream. */
const prefixes = ['/metrology', '/tool-state', '/instrument-timeseries'] as const;

/** The routes by which clients follow runs. */
export function liveRoutes(app: App, dependencies: LiveDependencies): void {
  for (const prefix of prefixes) {
    liveRoute(app, dependencies, prefix);
    latestRoute(app, dependencies, prefix);
  }
  severalRoute(app, dependencies);
}

function liveRoute(app: App, dependencies: LiveDependencies, prefix: string): void {
  app.get(
    `${prefix}/:data_id/live`,
    {
      schema: {
        tags,
        summary: 'Follow a run: server-sent events after each commit',
        params: DataIdPath('the stream'),
        querystring: LiveQuery(dependencies.limits),
        response: { 200: RunEvents, ...refusals(400, 404, 422) },
      },
    },
    async (request, reply) =>
      answerWithEvents(request, reply, dependencies, (subscriber, cursor) =>
        followRuns(request, dependencies, [request.params.data_id], subscriber, cursor),
      ),
  );
}

function severalRoute(app: App, dependencies: LiveDependencies): void {
  app.get(
    '/live',
    {
      schema: {
        tags,
        summary: 'Follow several runs, or the list of runs, on one connection',
        querystring: LiveOfSeveralQuery(dependencies.limits),
        response: { 200: SeveralEvents, ...refusals(400, 404, 422) },
      },
    },
    async (request, reply) =>
      answerWithEvents(request, reply, dependencies, async (subscriber, cursor) => {
        const { data_id: ids } = request.query;
        if (ids !== undefined) return followRuns(request, dependencies, ids, subscriber, cursor);
        const { database, lists } = dependencies;
        return lists.follow(database.as(request.identity.organizationId), subscriber, cursor);
      }),
  );
}

function latestRoute(app: App, { database, idleSeconds, limits }: LiveDependencies, prefix: string): void {
  app.get(
    `${prefix}/:data_id/latest`,
    {
      schema: {
        tags,
        summary: 'Read the newest reading of every channel',
        params: DataIdPath('the stream'),
        response: { 200: LatestAnswer, ...refusals(400, 404, 422) },
      },
    },
    async (request, reply) => {
      const { organization } = readFor(database, request);
      const run = await findFollowedRun(organization, request.params.data_id, idleSeconds);
      if (run === undefined) throw notFound('data_id');
      const { channels } = await readChannels(organization, [run.dataId], [], limits.nearChunksMax);
      // Sent as bytes, without the schema: its serialiser would drop the sign of -0.
      const body: unknown = latestJson(run.dataId, run.status, channels);
      return reply.type('application/json; charset=utf-8').send(body as never);
    },
  );
}

/** @throws ApiError 404 when the organization has none of the runs. If it has some, the others are sent as `deleted` */
async function followRuns(
  { identity }: FastifyRequest,
  { database, feed }: LiveDependencies,
  ids: readonly string[],
  subscriber: Subscriber,
  cursor: Micros | undefined,
): Promise<void> {
  const organization = database.as(identity.organizationId);
  const unknown: string[] = [];
  const distinct = [...new Set(ids.map((id) => id.toLowerCase()))];
  for (const dataId of distinct) {
    if (!(await feed.follow(organization, dataId, subscriber, cursor))) unknown.push(dataId);
  }
  if (unknown.length === distinct.length) throw notFound('data_id');
  for (const dataId of unknown) subscriber.send(statusFrame(dataId, 'deleted'));
}

type Query = { after?: string; max_seconds?: number };

/**
 * Answers with events until the client leaves. It gives its place in the reading room back, because it only waits and does
 * no work.
 */
async function answerWithEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  { subscribers, mayGoOn }: LiveDependencies,
  begin: (subscriber: Subscriber, cursor: Micros | undefined) => Promise<void>,
): Promise<FastifyReply> {
  const { max_seconds: seconds } = request.query as Query;
  const subscriber = subscribers.open({
    organizationId: request.identity.organizationId,
    mayGoOn: () => mayGoOn(request),
  });
  const { stream } = subscriber;
  request.place.reading.signal.addEventListener('abort', () => stream.destroy());
  try {
    await begin(subscriber, cursorOf(request));
  } catch (error) {
    stream.destroy();
    throw error;
  }
  request.place.leave();
  // Headers go out only with the first byte of the body. Without this a client of a list without live runs would not learn
  // that it is connected.
  if (stream.readableLength === 0) subscriber.send(heartbeat);
  if (seconds !== undefined) subscriber.endAfter(seconds * 1_000);
  endWithClient(request.raw.socket, subscriber);
  // Keeps proxies from delaying events in order to compress or batch them.
  reply.header('cache-control', 'no-store, no-transform').header('x-accel-buffering', 'no');
  return reply.type('text/event-stream; charset=utf-8').send(stream);
}

/**
 * A client that has closed its half of the connection has gone, or wants a single answer (`nc -N`). It gets the present
 * state, and the stream ends. Otherwise events would be sent until the next heartbeat to a client that has gone.
 */
function endWithClient(socket: Socket, { stream, end }: Subscriber): void {
  if (socket.readableEnded) {
    end();
    return;
  }
  socket.once('end', end);
  stream.once('close', () => socket.off('end', end));
}

/** The last event that the client says it has read. A Last-Event-ID in another form than ours is ignored. */
function cursorOf(request: FastifyRequest): Micros | undefined {
  const { 'last-event-id': header } = request.headers;
  const text = typeof header === 'string' && /^[0-9]{1,16}$/.test(header) ? header : (request.query as Query).after;
  const cursor = text === undefined ? 0 : Number(text);
  return cursor > 0 ? cursor : undefined;
}
