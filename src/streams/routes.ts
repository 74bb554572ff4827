import { Type } from '@sinclair/typebox';
import type { App } from '../http/app-type.ts';
import { bodyRefusals, refer, refusals } from '../http/schemas.ts';
import { ChunkBody, ChunkReceipt, InitializeBody, MultiChunkBody, StreamIds, StreamParams } from './schemas.ts';
import type { StreamService } from './service.ts';

const tags = ['stream'];
const chunkRefusals = refusals(...bodyRefusals, 404, 409);

/** The four stream calls, for one prefix. A stream that was opened under one prefix can be fed under another. */
export function streamRoutes(app: App, { streams }: { streams: StreamService }): void {
  app.post(
    '/initialize',
    {
      schema: {
        tags,
        summary: 'Open a stream',
        body: refer(InitializeBody),
        response: { 200: refer(StreamIds), ...refusals(...bodyRefusals, 404) },
      },
    },
    async (request) => streams.initialize(request.identity, request.body),
  );

  app.post(
    '/chunk',
    {
      schema: {
        tags,
        summary: 'Store one chunk of one channel, or replace it',
        body: refer(ChunkBody),
        response: { 201: refer(ChunkReceipt), ...chunkRefusals },
      },
    },
    (request, reply) => {
      reply.code(201);
      const { data_id, chunk_index, channel_name, ...readings } = takeBody(request);
      const stored = streams.ingest(request.identity, data_id, chunk_index, [[channel_name, readings]]);
      return stored.then(([receipt]) => receipt as ChunkReceipt);
    },
  );

  app.post(
    '/chunk/multi',
    {
      schema: {
        tags,
        summary: 'Store the chunks of several channels, all or none',
        body: refer(MultiChunkBody),
        response: {
          201: Type.Array(refer(ChunkReceipt), { description: 'one receipt for each channel; all are committed' }),
          ...chunkRefusals,
        },
      },
    },
    (request, reply) => {
      reply.code(201);
      const { data_id, chunk_index, channels } = takeBody(request);
      return streams.ingest(request.identity, data_id, chunk_index, Object.entries(channels));
    },
  );

  app.post(
    '/:data_id/finalize',
    {
      schema: {
        tags,
        summary: 'Close a stream; late chunks are still taken for FINALIZE_GRACE_SECONDS',
        params: StreamParams,
        response: { 200: refer(StreamIds), ...refusals(...bodyRefusals, 404) },
      },
    },
    async (request) => streams.finalize(request.identity, request.params.data_id),
  );
}

/** The body of a request, which from then on does not hold it any more. */
function takeBody<Body>(request: { body: Body }): Body {
  const { body } = request;
  request.body = undefined as Body;
  return body;
}
