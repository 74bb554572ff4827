import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Ends the answers that would go on for ever, each in order. A server that is to end calls it first: whoever follows then
     * comes back to the next one.
     */
    endEventStreams(): void;
    /** Resolves when no overview waits to be made. */
    overviewsIdle(): Promise<void>;
  }
}

/** A Fastify instance whose handlers get their types from the TypeBox schemas of their routes. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
