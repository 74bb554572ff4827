import { Type } from '@sinclair/typebox';
import type { App } from './app-type.ts';

const Clock = Type.Object(
  { receivedAtUnixMs: Type.Number(), transmittedAtUnixMs: Type.Number() },
  { description: 'when the request arrived and when its answer left, milliseconds of Unix time' },
);

/**
 * The reference clock of the newest SDK. The SDK measures the offset of its host's clock here, and adds it to every
 * timestamp that it sends. Mounted only with REFERENCE_CLOCK: shifted timestamps do not come back bit for bit, and a
 * replay differs.
 * @param now the server's clock, in milliseconds of Unix time
 */
export function clockRoutes(app: App, now: () => number): void {
  app.get(
    '/gateway/time',
    {
      config: { open: true },
      schema: { tags: ['operation'], summary: 'Reference clock of the SDK', response: { 200: Clock } },
    },
    async (_request, reply) => {
      const transmittedAtUnixMs = now();
      return { receivedAtUnixMs: transmittedAtUnixMs - reply.elapsedTime, transmittedAtUnixMs };
    },
  );
}
