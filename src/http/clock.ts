import { Type } from '@sinclair/typebox';
import type { App } from './app-type.ts';

const Clock = Type.Object(
  { receivedAtUnixMs: Type.Number(), transmittedAtUnixMs: Type.Number() },
  { description: 'when the request arrived and when its answer left, milliseconds of Unix time' },
);

/**
 * The reference clock of the newest SDK: it measures its host's offset here and adds it to every timestamp that it
 * sends (`now` is in milliseconds of Unix time). Mounted only on request, since what is shifted no longer comes back bit for bit and a replay differs.
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
