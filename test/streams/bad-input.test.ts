import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { contract } from '../../src/contract.ts';
import { streamLimits } from '../../src/streams/limits.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { chunkBody, openStream } from './support/chunks.ts';

/* Every refusal names its field and leaves nothing behind. */

let server: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  dataId = await openStream(server, { points_per_chunk: 1_000 });
});
afterAll(() => server.close());

afterEach(async () => {
  const { rows } = await server.owner.pool.query(
    'select (select count(*) from chunks) as chunks, (select count(*) from channels) as channels, (select count(*) from streams) as streams',
  );
  expect(rows).toEqual([{ chunks: 0, channels: 0, streams: 1 }]);
});

const field = (json: { detail: { loc: unknown[] }[] }) => json.detail[0]?.loc.at(-1);

describe('initialize', () => {
  test.each([
    ['points_per_chunk', 0],
    ['points_per_chunk', -1],
    ['points_per_chunk', 1.5],
    ['points_per_chunk', '100'],
    ['points_per_chunk', null],
    ['points_per_chunk', true],
    ['points_per_chunk', contract.pointsPerChunkMax + 1],
    ['points_per_chunk', undefined],
    ['stream_name', 5],
    ['stream_name', 'a\u0000b'],
    ['stream_name', 'a\ud800b'],
    ['stream_name', 'x'.repeat(contract.textLengthMax + 1)],
    ['instrument_type', ['mbe']],
    ['project_id', 'not a uuid'],
    ['project_id', ''],
    ['physical_sample_id', '1234'],
    ['synth_source_id', 0],
    ['synth_source_id', 1.5],
    ['synth_source_id', '1'],
    ['synth_source_id', 2 ** 31],
  ])('%s = %j', async (name, value) => {
    const { status, json } = await server.post('/metrology/stream/initialize', { points_per_chunk: 1, [name]: value });
    expect([status, field(json)]).toEqual([422, name]);
  });
});

describe('chunk', () => {
  test.each([
    ['data_id', 'x'],
    ['data_id', null],
    ['data_id', undefined],
    ['chunk_index', -1],
    ['chunk_index', 0.5],
    ['chunk_index', '0'],
    ['chunk_index', null],
    ['chunk_index', true],
    ['chunk_index', 2 ** 53],
    ['chunk_index', 1e300],
    ['chunk_index', undefined],
    ['channel_name', ''],
    ['channel_name', null],
    ['channel_name', 7],
    ['channel_name', 'x'.repeat(contract.channelNameLengthMax + 1)],
    ['channel_name', 'a\u0000'],
    ['channel_name', '\udc00'],
    ['timestamps', 'now'],
    ['timestamps', {}],
    ['values', null],
    ['values', undefined],
    ['units', 5],
    ['units', '\u0000'],
    ['units', 'x'.repeat(contract.textLengthMax + 1)],
  ])('%s = %j', async (name, value) => {
    const { status, json } = await server.post('/metrology/stream/chunk', {
      ...chunkBody(dataId, 0, 't', [1]),
      [name]: value,
    });
    expect([status, field(json)]).toEqual([422, name]);
  });

  test.each([['"1"'], ['true'], ['[1]'], ['{}'], ['1e999'], ['-1e999']])(
    'a reading %s is refused by its position',
    async (reading) => {
      for (const name of ['timestamps', 'values']) {
        const other = name === 'values' ? '"timestamps":[1,2]' : '"values":[1,2]';
        const body = `{"data_id":"${dataId}","chunk_index":0,"channel_name":"t",${other},"${name}":[1,${reading}]}`;
        const { status, json } = await server.post('/metrology/stream/chunk', body);
        expect([status, json.detail[0].loc]).toEqual([422, ['body', name, 1]]);
      }
    },
  );

  test('an empty chunk is refused by the name of its channel', async () => {
    const { status, json } = await server.post('/metrology/stream/chunk', chunkBody(dataId, 0, 'thickness', []));
    expect([status, json.detail[0].msg]).toEqual([422, 'channel "thickness": no points']);
  });

  test('lengths that differ', async () => {
    const body = { ...chunkBody(dataId, 0, 'thickness', [1, 2]), timestamps: [1, 2, 3] };
    const { status, json } = await server.post('/metrology/stream/chunk', body);
    expect(status).toBe(422);
    expect(json.detail[0].msg).toBe('channel "thickness": 3 timestamps but 2 values');
  });

  test('an offset that would not be an exact integer; the largest that is one passes the check', async () => {
    const largest = Math.floor(contract.offsetMax / 1_000);
    const { status, json } = await server.post(
      '/metrology/stream/chunk',
      chunkBody(dataId, largest, 't', Array(992).fill(1)),
    );
    expect([status, field(json)]).toEqual([422, 'chunk_index']);
    expect(json.detail[0].msg).toContain(String(contract.offsetMax));
  });

  test('an answer never echoes an array', async () => {
    const { json } = await server.post('/metrology/stream/chunk', {
      ...chunkBody(dataId, 0, 't', [1]),
      data_id: [1, 2, 3],
    });
    expect(json.detail[0]).not.toHaveProperty('input');
  });

  test('bodies that are no chunk', async () => {
    for (const body of ['null', '[]', '5', '"x"', 'true', '{}']) {
      expect((await server.post('/metrology/stream/chunk', body)).status).toBe(422);
    }
    for (const body of ['{', '{"a":}', 'NaN', '{"values":[NaN]}', "{'a':1}"]) {
      const { status, json } = await server.post('/metrology/stream/chunk', body);
      expect([status, typeof json.detail]).toEqual([400, 'string']);
    }
  });
});

describe('chunk/multi', () => {
  const send = (channels: unknown) =>
    server.post(
      '/metrology/stream/chunk/multi',
      typeof channels === 'string' ? channels : { data_id: dataId, chunk_index: 0, channels },
    );

  test.each([[null], [[]], ['x'], [{}], [undefined]])('channels = %j', async (channels) => {
    const { status, json } = await server.post('/metrology/stream/chunk/multi', {
      data_id: dataId,
      chunk_index: 0,
      channels,
    });
    expect([status, field(json)]).toEqual([422, 'channels']);
  });

  test.each([[''], ['x'.repeat(256)], ['a\u0000'], ['\ud83d']])('a channel named %j', async (name) => {
    const { status, json } = await send({ [name]: { timestamps: [1], values: [1] } });
    expect(status).toBe(422);
    expect(json.detail[0].loc.slice(0, 2)).toEqual(['body', 'channels']);
  });

  test('more channels than a request may hold', async () => {
    const channel = '{"timestamps":[1],"values":[1]}';
    const many = Array.from({ length: streamLimits.channelsPerRequestMax + 1 }, (_, i) => `"${i}":${channel}`).join(
      ',',
    );
    const { status, json } = await send(`{"data_id":"${dataId}","chunk_index":0,"channels":{${many}}}`);
    expect([status, field(json)]).toEqual([422, 'channels']);
    expect(json.detail[0].msg).toContain(String(streamLimits.channelsPerRequestMax));
  });
});

test.each([
  [
    'a channel',
    'chunk/multi',
    '"channels":{"p":{"timestamps":[1],"values":[1]},"p":{"timestamps":[1],"values":[2]}}',
    'p',
  ],
  ['readings of a channel', 'chunk/multi', '"channels":{"p":{"timestamps":[1],"values":[1],"values":[2]}}', 'values'],
  ['readings', 'chunk', '"channel_name":"p","timestamps":[1],"values":[1],"values":[2]', 'values'],
  ['an index', 'chunk', '"chunk_index":1,"channel_name":"p","timestamps":[1],"values":[1]', 'chunk_index'],
])('%s that stands twice in one body is refused: of two, one would be lost', async (_what, route, fields, name) => {
  const body = `{"data_id":"${dataId}","chunk_index":0,${fields}}`;
  const { status, json } = await server.post(`/metrology/stream/${route}`, body);
  expect([status, json.detail]).toEqual([
    400,
    `The name "${name}" stands twice in one object of the body; nothing was stored.`,
  ]);
});
