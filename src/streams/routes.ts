import { Type } from '@sinclair/typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { originOf } from '../http/actor.ts';
import type { App } from '../http/app-type.ts';
import { arrivalOf } from '../http/arrival.ts';
import { reasonOf } from '../http/chunk-metrics.ts';
import { DataIdPath } from '../http/data-id.ts';
import { showPath } from '../http/json-fault.ts';
import type { Metrics } from '../http/metrics.ts';
import { bodyRefusals, refer, refusals } from '../http/schemas.ts';
import { fieldString } from '../lib/structured-fields.ts';
import type { ChunkRequest } from './chunk-body.ts';
import type { ChunkReader } from './chunk-reader.ts';
import type { ChunkOutcome } from './outcomes.ts';
import {
  ChunkBody,
  type ChunkBodyLimits,
  ChunkReceipt,
  InitializeBody,
  MultiChunkBody,
  RestoreBody,
  StreamIds,
} from './schemas.ts';
import type { StreamService } from './service.ts';

const tags = ['stream'];
const chunkRefusals = refusals(...bodyRefusals, 404, 409);

const roundedHeader = {
  Rounded: {
    type: 'string',
    examples: ['"values[3]";count=2'],
    description: 'only where integers beyond 2^53 were stored as the float64 next to them: the first one, and how many',
  },
};
const implausibleHeader = {
  'Implausible-Times': {
    type: 'string',
    examples: ['"timestamps[0]";count=100;looks-like=ms'],
    description:
      'only where timestamps are stored that are no plausible Unix seconds: the first one, how many, and the unit (ms, us, ' +
      'ns) in which it would be plausible, where there is one',
  },
};
const noteHeaders = { ...roundedHeader, ...implausibleHeader };
const outcomeHeader = {
  'Chunk-Outcome': {
    type: 'string',
    enum: ['created', 'unchanged', 'replaced'],
    description: 'what became of the chunk',
  },
};
const outcomesHeader = {
  'Chunk-Outcome': {
    type: 'string',
    examples: ['created=2, unchanged=0, replaced=1'],
    description: 'how many channels were created, unchanged and replaced',
  },
};

export interface StreamDependencies {
  streams: StreamService;
  chunks: ChunkReader;
  metrics: Pick<Metrics, 'roundedNumbers' | 'implausibleTimes' | 'refusedChunkRequests'>;
  limits: ChunkBodyLimits;
}

/** The routes of streams, under one prefix. A stream opened under one prefix takes chunks under every other. */
export function streamRoutes(app: App, { streams, chunks, metrics, limits }: StreamDependencies): void {
  app.addHook('onResponse', (request, reply, done) => {
    const reason = request.routeOptions.config.readBody && reasonOf(reply.statusCode);
    if (reason !== undefined) metrics.refusedChunkRequests.inc({ reason });
    done();
  });
  app.post(
    '/initialize',
    {
      schema: {
        tags,
        summary: 'Open a stream',
        body: refer(InitializeBody),
        response: { 200: refer(StreamIds), ...refusals(...bodyRefusals, 404, 409, 507) },
      },
    },
    async (request, reply) => streams.initialize(request.identity, request.body, arrivalOf(reply)),
  );

  app.post(
    '/chunk',
    {
      config: { readBody: (body, organizationId) => chunks.read('single', body, organizationId) },
      validatorCompiler: () => chunks.validator('single'),
      schema: {
        tags,
        summary: 'Store one chunk of one channel, or replace it',
        body: refer(ChunkBody),
        response: {
          201: { ...refer(ChunkReceipt), headers: { ...outcomeHeader, ...noteHeaders } },
          ...chunkRefusals,
        },
      },
    },
    (request, reply) => {
      reply.code(201);
      const arrivedAt = arrivalOf(reply);
      const { dataId, chunkIndex, arrivals } = takeChunks(request, reply, metrics);
      const stored = streams.ingest(request.identity, dataId, chunkIndex, arrivals, arrivedAt, () => originOf(request));
      return stored.then(({ receipts, outcomes }) => {
        reply.header('chunk-outcome', outcomes[0]);
        return receipts[0] as ChunkReceipt;
      });
    },
  );

  app.post(
    '/chunk/multi',
    {
      config: { readBody: (body, organizationId) => chunks.read('multi', body, organizationId) },
      validatorCompiler: () => chunks.validator('multi'),
      schema: {
        tags,
        summary: 'Store the chunks of several channels, all or none',
        body: refer(MultiChunkBody(limits)),
        response: {
          201: Type.Array(refer(ChunkReceipt), {
            description: 'one receipt for each channel; all are committed',
            headers: { ...outcomesHeader, ...noteHeaders },
          }),
          ...chunkRefusals,
        },
      },
    },
    (request, reply) => {
      reply.code(201);
      const arrivedAt = arrivalOf(reply);
      const { dataId, chunkIndex, arrivals } = takeChunks(request, reply, metrics);
      const stored = streams.ingest(request.identity, dataId, chunkIndex, arrivals, arrivedAt, () => originOf(request));
      return stored.then(({ receipts, outcomes }) => {
        reply.header('chunk-outcome', countsOf(outcomes));
        return receipts;
      });
    },
  );

  app.post(
    '/:data_id/finalize',
    {
      schema: {
        tags,
        summary: 'Close a stream; late chunks are still taken for FINALIZE_GRACE_SECONDS',
        params: DataIdPath('the stream'),
        response: { 200: refer(StreamIds), ...refusals(...bodyRefusals, 404) },
      },
    },
    async (request, reply) => streams.finalize(request.identity, request.params.data_id, arrivalOf(reply)),
  );

  restoreRoute(app, { streams });
}

function restoreRoute(app: App, { streams }: { streams: StreamService }): void {
  app.post(
    '/:data_id/chunks/restore',
    {
      schema: {
        tags,
        summary: 'Put back what a chunk held before it was replaced, also after finalize',
        params: DataIdPath('the stream'),
        body: refer(RestoreBody),
        response: { 200: { ...refer(ChunkReceipt), headers: outcomeHeader }, ...refusals(...bodyRefusals, 404) },
      },
    },
    async (request, reply) => {
      const { channel_name: channelName, chunk_index: chunkIndex, revision } = request.body;
      const address = { dataId: request.params.data_id, channelName, chunkIndex, revision };
      const { receipts, outcomes } = await streams.restore(request.identity, address, () => originOf(request));
      reply.header('chunk-outcome', outcomes[0]);
      return receipts[0] as ChunkReceipt;
    },
  );
}

/** As a dictionary of structured fields (RFC 9651): `created=2, unchanged=0, replaced=1`. */
function countsOf(outcomes: ChunkOutcome[]): string {
  const count = (wanted: ChunkOutcome) => `${wanted}=${outcomes.filter((outcome) => outcome === wanted).length}`;
  return `${count('created')}, ${count('unchanged')}, ${count('replaced')}`;
}

/** Takes the chunks that `readBody` made of a body, and sets headers on them. From now on the body takes no room. */
function takeChunks(
  request: Pick<FastifyRequest, 'bodyPlace'> & { body: unknown },
  reply: Pick<FastifyReply, 'header'>,
  metrics: StreamDependencies['metrics'],
): ChunkRequest {
  const chunks = request.body as ChunkRequest;
  const { roundedNumbers: rounded, implausibleTimes: implausible } = chunks;
  if (rounded !== undefined) {
    metrics.roundedNumbers.inc(rounded.count);
    reply.header('rounded', `${fieldString(showPath(rounded.path))};count=${rounded.count}`);
  }
  if (implausible !== undefined) {
    const { path, count, looksLike } = implausible;
    metrics.implausibleTimes.inc({ looks_like: looksLike ?? 'unknown' }, count);
    const place = `${fieldString(showPath(path))};count=${count}`;
    reply.header('implausible-times', looksLike === undefined ? place : `${place};looks-like=${looksLike}`);
  }
  // The log shows this if the request is refused.
  request.body = { data_id: chunks.dataId };
  request.bodyPlace?.leave();
  return chunks;
}
