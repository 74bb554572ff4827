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
     * Ends the event streams, which would go on for ever, in order. Called first when a server stops, so that their
     * clients reconnect to the next one.
     */
    endEventStreams(): void;
    /** Resolves when no overview is waiting to be made. */
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
