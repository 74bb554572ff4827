/**
 * What each step of the ingest of a chunk costs by itself, and what its alternative would cost.
 *
 *   npm run bench -- --shares
 */
import { isUtf8 } from 'node:buffer';
import { createHash, hash } from 'node:crypto';
import { type TSchema, Type } from '@sinclair/typebox';
import Fastify from 'fastify';
import { createIdentities } from '../src/auth/identities.ts';
import { authLimits } from '../src/auth/limits.ts';
import { encodeFloat8Array } from '../src/database/float8-array.ts';
import { createPacker } from '../src/database/series-packer.ts';
import { toChunkImage } from '../src/streams/chunk-image.ts';
import { ChunkBody, ChunkReceipt } from '../src/streams/schemas.ts';

const runMs = Number(process.env.SHARES_MS ?? 400);
const rounds = 5;

/** Median microseconds of one call over some rounds, after a round that warms up. */
function microseconds(work: () => unknown): number {
  const results: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const start = performance.now();
    let calls = 0;
    while (performance.now() - start < runMs / rounds) {
      for (let i = 0; i < 16; i++) work();
      calls += 16;
    }
    if (round > 0) results.push(((performance.now() - start) * 1_000) / calls);
  }
  return results.sort((a, b) => a - b)[rounds >> 1] as number;
}

/** Ajv as Fastify sets it up for this server, over one schema. */
async function validator(schema: TSchema): Promise<(body: unknown) => unknown> {
  const app = Fastify({
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allowUnionTypes: true } },
  });
  let validate: ((body: unknown) => unknown) | undefined;
  app.get('/', async (request) => {
    const check = request.compileValidationSchema(schema as never);
    validate = (body) => {
      if (!check(body)) throw new Error('the sample is not valid');
    };
    return 'ready';
  });
  await app.inject('/');
  await app.close();
  return validate as (body: unknown) => unknown;
}

async function serializer(schema: TSchema): Promise<(answer: unknown) => string> {
  const app = Fastify();
  let serialize: ((answer: unknown) => string) | undefined;
  app.get('/', async (_request, reply) => {
    serialize = reply.compileSerializationSchema(schema as never) as (answer: unknown) => string;
    return 'ready';
  });
  await app.inject('/');
  await app.close();
  return serialize as (answer: unknown) => string;
}

const unionOfReadings = Type.Array(Type.Union([Type.Number(), Type.Null()]));
const withUnions = Type.Object({ ...ChunkBody.properties, timestamps: unionOfReadings, values: unionOfReadings });

async function measure(points: number): Promise<[string, number][]> {
  const timestamps = Array.from({ length: points }, (_, i) => 1_705_312_200 + i * 0.1 + Math.random() / 100);
  const values = Array.from({ length: points }, () => Math.random() * 600);
  const measured = { timestamps, values: values.map((value) => Math.round(value * 100) / 1_000), units: 'nm' };
  const dataId = 'd290f1ee-6c54-4b01-90e6-d701748f0851';
  const chunk = { data_id: dataId, chunk_index: 7, channel_name: 'thickness', timestamps, values, units: 'nm' };
  const body = Buffer.from(JSON.stringify(chunk));
  const images = [encodeFloat8Array(timestamps), encodeFloat8Array(values)] as const;
  const content = Buffer.concat(images);
  const packer = createPacker();
  const receipt = { data_id: dataId, channel_name: 'thickness', chunk_index: 7, total_points: 800 };
  const [validate, validateUnions, serialize] = await Promise.all([
    validator(ChunkBody),
    validator(withUnions),
    serializer(ChunkReceipt),
  ]);
  const identities = createIdentities({
    findAll: async (keys) => keys.map(() => ({ organizationId: '', userId: '', keyId: 1, scopes: ['write'] })),
    isPassing: () => false,
    limits: { ...authLimits, keyCacheMsMax: 1e9, keyCacheEntriesMax: 100 },
    now: () => performance.now(),
  });
  const text = body.toString();
  return [
    ['check UTF-8', microseconds(() => isUtf8(body))],
    ['bytes to text', microseconds(() => body.toString('utf8'))],
    ['JSON.parse', microseconds(() => JSON.parse(text))],
    ['Ajv, readings as one type list (chosen)', microseconds(() => validate(chunk))],
    ['Ajv, readings as a union', microseconds(() => validateUnions(chunk))],
    ['key from memory', microseconds(() => identities.of('key'))],
    ['one array to its binary image (chosen)', microseconds(() => encodeFloat8Array(values))],
    ['one array to text', microseconds(() => `{${values.join(',')}}`)],
    ['SHA-256 of what lies end to end (chosen)', microseconds(() => hash('sha256', content, 'buffer'))],
    [
      'SHA-256 by an object, part by part',
      microseconds(() => createHash('sha256').update(images[0]).update(images[1]).digest()),
    ],
    ['chunk image, all of it', microseconds(() => toChunkImage(chunk))],
    ['chunk image, packed where that is exact (chosen)', microseconds(() => toChunkImage(measured, packer))],
    ['answer by its schema (chosen)', microseconds(() => serialize(receipt))],
    ['answer by JSON.stringify', microseconds(() => JSON.stringify(receipt))],
  ];
}

const columns = await Promise.all([100, 1_000].map(async (points) => [points, await measure(points)] as const));
console.log(`\nNode ${process.version}: median µs of one call\n`);
console.log(`| step | ${columns.map(([points]) => `${points} points`).join(' | ')} |`);
console.log(`|---|${columns.map(() => '---|').join('')}`);
for (const [i, [step]] of (columns[0]?.[1] ?? []).entries()) {
  console.log(`| ${step} | ${columns.map(([, rows]) => rows[i]?.[1].toFixed(2)).join(' | ')} |`);
}
