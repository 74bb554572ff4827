import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream } from './support/chunks.ts';

/* Whatever JSON comes: a documented status; what is accepted reads back bit for bit; what is refused stores nothing. */

let server: TestServer;
let dataId: string;
let paths: Record<string, { post: { responses: object } }>;
beforeAll(async () => {
  server = await startTestServer();
  dataId = await openStream(server, { points_per_chunk: 1 });
  ({ paths } = server.app.swagger() as unknown as { paths: typeof paths });
});
afterAll(() => server.close());

type Reading = number | null;
interface Channel {
  timestamps: Reading[];
  values: Reading[];
  units?: string | null;
}

/** Sends a body. @returns the answer, when the body was accepted; whatever was refused has stored nothing */
async function send(path: string, body: unknown) {
  const count = async () => {
    const { rows } = await server.owner.pool.query(
      `select (select count(*) from streams) as streams, (select count(*) from chunks) as chunks,
        (select coalesce(sum(point_count), 0) from channels) as points, (select sum(replaced_count) from chunks) as replaced`,
    );
    return rows[0];
  };
  const before = await count();
  const answer = await server.post(path, body);
  expect(Object.keys(paths[path]?.post.responses ?? {}), answer.text).toContain(String(answer.status));
  expect(answer.status, answer.text).toBeLessThan(500);
  if (answer.status < 300) return answer;
  expect(await count()).toEqual(before);
  return undefined;
}

async function expectStored(name: string, chunkIndex: number, { timestamps, values, units }: Channel) {
  // An index of −0 is 0.
  const index = chunkIndex + 0;
  const query = new URLSearchParams({ channel: name, from_chunk: `${index}`, to_chunk: `${index}` });
  const { json } = await server.get(`/metrology/${dataId}/points/?${query}`);
  // toEqual tells −0 from 0; an empty unit is none.
  expect(json.chunks).toEqual([{ chunk_index: index, start_offset: index, units: units || null, timestamps, values }]);
}

/** What should stand there, and now and then any JSON, or nothing. */
const mostly = (good: fc.Arbitrary<unknown>) =>
  fc.oneof(
    { arbitrary: good, weight: 30 },
    { arbitrary: fc.jsonValue({ maxDepth: 2 }), weight: 1 },
    { arbitrary: fc.constant(undefined), weight: 1 },
  );
const name = fc.oneof(
  { arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }), weight: 10 },
  { arbitrary: fc.constantFrom('__proto__', 'constructor', '0', 'a\u0000', '\ud800', '', 'x'.repeat(256)), weight: 1 },
);
const reading = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.maxSafeInteger(),
  fc.constantFrom(null, -0, 5e-324, 2 ** 53 + 2, 1.7e308),
);
const channel = fc
  .tuple(fc.array(fc.tuple(reading, reading), { minLength: 1, maxLength: 6 }), fc.nat({ max: 20 }), fc.option(name))
  .map(([points, cut, units]) => ({
    timestamps: points.map(([time]) => time),
    values: points.slice(cut === 0 ? 1 : 0).map(([, value]) => value),
    units,
  }));
const chunkIndex = fc.oneof(fc.nat({ max: 9 }), fc.maxSafeInteger());
const address = { data_id: mostly(fc.constant('the stream')), chunk_index: mostly(chunkIndex) };
const ofStream = (body: { data_id: unknown }) => ({
  ...body,
  data_id: body.data_id === 'the stream' ? dataId : body.data_id,
});

/** Runs a property, and makes sure that it has seen bodies of both kinds. */
async function check<Body>(bodies: fc.Arbitrary<Body>, tryOne: (body: Body) => Promise<boolean>) {
  const seen = { accepted: 0, refused: 0 };
  const property = fc.asyncProperty(bodies, async (body) => {
    seen[(await tryOne(body)) ? 'accepted' : 'refused']++;
  });
  await fc.assert(property, { numRuns: 100 });
  expect(seen.accepted).toBeGreaterThan(10);
  expect(seen.refused).toBeGreaterThan(10);
}

test('any body of a chunk', async () => {
  const bodies = channel.chain(({ timestamps, values, units }) =>
    fc.record({
      ...address,
      channel_name: mostly(name),
      timestamps: mostly(fc.constant(timestamps)),
      values: mostly(fc.constant(values)),
      units: mostly(fc.constant(units)),
    }),
  );
  await check(bodies, async (body) => {
    const answer = await send('/metrology/stream/chunk', ofStream(body));
    if (answer === undefined) return false;
    await expectStored(body.channel_name as string, body.chunk_index as number, body as Channel);
    return true;
  });
});

test('any body of a chunk of many channels: all are stored or none', async () => {
  const channels = fc.dictionary(name, mostly(channel), { maxKeys: 4 });
  await check(fc.record({ ...address, channels: mostly(channels) }), async (body) => {
    const answer = await send('/metrology/stream/chunk/multi', ofStream(body));
    if (answer === undefined) return false;
    const sent = Object.entries(body.channels as Record<string, Channel>).filter(([, one]) => one !== undefined);
    expect(answer.json.map((receipt: { channel_name: string }) => receipt.channel_name)).toEqual(
      sent.map(([one]) => one),
    );
    for (const [one, readings] of sent) await expectStored(one, body.chunk_index as number, readings);
    return true;
  });
});

test('any body that opens a stream', async () => {
  const bodies = fc.record({
    points_per_chunk: mostly(fc.oneof(fc.integer({ min: 1 }), fc.integer())),
    stream_name: mostly(fc.option(name)),
    instrument_type: mostly(fc.option(name)),
    project_id: mostly(fc.constantFrom(null, undefined)),
    physical_sample_id: mostly(fc.constantFrom(null, undefined)),
    synth_source_id: mostly(fc.constantFrom(null, undefined)),
  });
  await check(bodies, async (body) => {
    const answer = await send('/metrology/stream/initialize', body);
    if (answer === undefined) return false;
    const { json } = await server.get(`/data_entries/?data_ids=${answer.json.data_id}&include_orphans=true`);
    const { points_per_chunk, instrument_type } = json[0].file_metadata;
    expect([points_per_chunk, instrument_type]).toEqual([body.points_per_chunk, body.instrument_type ?? null]);
    if (typeof body.stream_name === 'string' && body.stream_name.trim() !== '') {
      expect(json[0].raw_name).toBe(body.stream_name);
    }
    return true;
  });
});

test('any JSON at all', async () => {
  for (const path of ['/metrology/stream/initialize', '/metrology/stream/chunk', '/metrology/stream/chunk/multi']) {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (body) => {
        expect(await send(path, body)).toBeUndefined();
      }),
      { numRuns: 50 },
    );
  }
});
