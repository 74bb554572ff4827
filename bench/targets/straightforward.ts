import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify from 'fastify';
import { type Generated, Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { pino } from 'pino';
import { createIdentities } from '../../src/auth/identities.ts';
import { provideKey } from '../../src/auth/keys.ts';
import { authLimits } from '../../src/auth/limits.ts';
import { openSessions } from '../../src/auth/sessions.ts';
import { findIdentity } from '../../src/auth/store.ts';
import { readConfig } from '../../src/config.ts';
import { openAsOwner } from '../../src/database/database.ts';
import { requireKeys } from '../../src/http/auth.ts';
import { processLimits } from '../../src/process/limits.ts';
import { openStore } from '../../src/process/open-database.ts';

/*
 * The server that a good engineer would write first for the same contract: Fastify with its own body reader and validation,
 * one transaction for each request, Kysely, and arrays as text, as pg sends them. The chunk is upserted at its address, and
 * the counter of its channel is kept exact under the row lock of the channel. It looks up keys as our server does, on the
 * same PostgreSQL with the same settings and the same number of connections.
 */
interface Tables {
  streams: { data_id: Generated<string>; organization_id: string; points_per_chunk: number };
  channels: { data_id: string; channel_name: string; point_count: Generated<number>; units: string | null };
  chunks: {
    data_id: string;
    channel_name: string;
    chunk_index: number;
    start_offset: number;
    point_count: number;
    timestamps: (number | null)[];
    values: (number | null)[];
    units: string | null;
  };
}

const tables = `
  create schema straightforward;
  create table straightforward.streams (
    data_id uuid primary key default gen_random_uuid(),
    organization_id uuid not null,
    points_per_chunk integer not null,
    created_at timestamptz not null default now()
  );
  create table straightforward.channels (
    data_id uuid not null references straightforward.streams,
    channel_name text not null,
    point_count bigint not null default 0,
    units text,
    changed_at timestamptz not null default now(),
    primary key (data_id, channel_name)
  );
  create table straightforward.chunks (
    data_id uuid not null,
    channel_name text not null,
    chunk_index bigint not null,
    start_offset bigint not null,
    point_count integer not null,
    timestamps float8[] not null,
    values float8[] not null,
    units text,
    stored_at timestamptz not null default now(),
    primary key (data_id, channel_name, chunk_index),
    foreign key (data_id, channel_name) references straightforward.channels
  );`;

const config = readConfig(process.env);
const log = pino({ level: config.LOG_LEVEL }, pino.destination(2));
const store = await openStore(config, log, { mayJoin: false });
await provideKey(store.database, config, false);
const owner = openAsOwner(store.ownerUrl, { onIdleError: () => {} });
await owner.pool.query(tables);

const int8 = 20;
const pool = new pg.Pool({
  connectionString: store.ownerUrl,
  max: config.DATABASE_POOL_MAX,
  types: {
    getTypeParser: (oid: number, format?: 'text' | 'binary') =>
      oid === int8 ? Number : pg.types.getTypeParser(oid, format),
  } as pg.CustomTypesConfig,
});
const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) }).withSchema('straightforward');

const app = Fastify({
  bodyLimit: config.BODY_LIMIT_BYTES,
  ajv: { customOptions: { coerceTypes: false, allowUnionTypes: true } },
}).withTypeProvider<TypeBoxTypeProvider>();
const identities = createIdentities({
  findAll: (keys) => Promise.all(keys.map((key) => findIdentity(store.database, key))),
  isPassing: () => false,
  limits: authLimits,
  now: () => performance.now(),
});
const sessions = openSessions(store.database, pino({ level: 'silent' }), { sessionSeconds: 3_600 });
requireKeys(app, { identities, sessions, publicUrl: undefined });

const Readings = Type.Unsafe<(number | null)[]>({ type: 'array', minItems: 1, items: { type: ['number', 'null'] } });
const ChunkBody = Type.Object({
  data_id: Type.String({ pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' }),
  chunk_index: Type.Integer({ minimum: 0 }),
  channel_name: Type.String({ minLength: 1 }),
  timestamps: Readings,
  values: Readings,
  units: Type.Optional(Type.Union([Type.String(), Type.Null()])),
});
const Receipt = Type.Object({
  data_id: Type.String(),
  channel_name: Type.String(),
  chunk_index: Type.Integer(),
  total_points: Type.Integer(),
});
const Refusal = Type.Object({ detail: Type.String() });

app.post(
  '/tool-state/stream/initialize',
  { schema: { body: Type.Object({ points_per_chunk: Type.Integer({ minimum: 1 }) }) } },
  async ({ identity, body }) =>
    db
      .insertInto('streams')
      .values({ organization_id: identity.organizationId, points_per_chunk: body.points_per_chunk })
      .returning('data_id')
      .executeTakeFirstOrThrow(),
);

app.post(
  '/tool-state/stream/chunk',
  { schema: { body: ChunkBody, response: { 201: Receipt, 404: Refusal, 422: Refusal } } },
  async ({ identity, body }, reply) => {
    const { data_id, channel_name, chunk_index, timestamps, values, units = null } = body;
    if (timestamps.length !== values.length) return reply.code(422).send({ detail: 'lengths differ' });
    const total = await db.transaction().execute(async (transaction) => {
      const stream = await transaction
        .selectFrom('streams')
        .select('points_per_chunk')
        .where('data_id', '=', data_id)
        .where('organization_id', '=', identity.organizationId)
        .executeTakeFirst();
      if (stream === undefined) return undefined;
      // Creates the channel or locks it, so that the difference below is added exactly once.
      await transaction
        .insertInto('channels')
        .values({ data_id, channel_name, units })
        .onConflict((conflict) => conflict.columns(['data_id', 'channel_name']).doUpdateSet({ units }))
        .execute();
      const before = await transaction
        .selectFrom('chunks')
        .select('point_count')
        .where('data_id', '=', data_id)
        .where('channel_name', '=', channel_name)
        .where('chunk_index', '=', chunk_index)
        .executeTakeFirst();
      const content = { timestamps, values, units, point_count: values.length };
      await transaction
        .insertInto('chunks')
        .values({ data_id, channel_name, chunk_index, start_offset: chunk_index * stream.points_per_chunk, ...content })
        .onConflict((conflict) => conflict.columns(['data_id', 'channel_name', 'chunk_index']).doUpdateSet(content))
        .execute();
      const channel = await transaction
        .updateTable('channels')
        .set({ point_count: sql<number>`point_count + ${values.length - (before?.point_count ?? 0)}::integer` })
        .where('data_id', '=', data_id)
        .where('channel_name', '=', channel_name)
        .returning('point_count')
        .executeTakeFirstOrThrow();
      return channel.point_count;
    });
    if (total === undefined) return reply.code(404).send({ detail: 'no such stream' });
    return reply.code(201).send({ data_id, channel_name, chunk_index, total_points: total });
  },
);

app.get('/readyz', { config: { open: true } }, async () => ({ status: 'ok' }));

await app.listen({ host: config.HOST, port: config.PORT, backlog: processLimits.listenBacklog });
process.on('SIGTERM', async () => {
  app.server.closeAllConnections();
  await app.close();
  await pool.end();
  await store.close();
});
process.stdout.write('listening\n');
