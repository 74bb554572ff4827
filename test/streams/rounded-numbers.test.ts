import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findRoundedNumbers } from '../../src/http/rounded-numbers.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer({}, { streams: { loopBodyBytesMax: 4_096 } });
  dataId = (await server.post('/metrology/stream/initialize', { points_per_chunk: 2 })).json.data_id;
});
afterAll(() => server?.close());

test.each([
  '9007199254740992',
  '-9007199254740992',
  '9007199254740994',
  '1e22',
  '9.91E+37',
  '9007199254740993.0',
  '0.12345678901234567890',
  '18446744073709551616',
  '1e308',
  '"9007199254740993"',
])('%s says what is stored', (literal) => {
  expect(findRoundedNumbers(`[${literal}]`)).toBeUndefined();
});

test.each(['9007199254740993', '-9007199254740993', '1705312200123456789', '1e400', '-1E+999', '9'.repeat(400)])(
  '%s is stored as another number',
  (literal) => {
    expect(findRoundedNumbers(`{"a":[0,${literal},${literal}]}`)).toEqual({ literal, path: ['a', 1], count: 2 });
  },
);

describe('a chunk with integers that are no float64 is stored, and says so', () => {
  const post = (values: string, timestamps = '[1,2,3]') =>
    server.post(
      '/metrology/stream/chunk',
      `{"data_id":"${dataId}","chunk_index":0,"channel_name":"p","timestamps":${timestamps},"values":${values}}`,
    );

  test('values', async () => {
    const { status, headers } = await post('[1,9007199254740993,-9007199254740993]');
    expect([status, headers.rounded]).toEqual([201, '"values[1]";count=2']);
    const { json } = await server.get(`/metrology/${dataId}/points/?channel=p`);
    expect(json.chunks[0].values).toEqual([1, 9007199254740992, -9007199254740992]);
  });

  test('timestamps in nanoseconds', async () => {
    const { status, headers } = await post('[1,2,3]', '[1705312200123456789,1705312200223456789,1705312200323456768]');
    expect([status, headers.rounded]).toEqual([201, '"timestamps[0]";count=2']);
  });

  test.each(['[1,2,3]', '[9007199254740992,1e300,9.91e37]', '[0.1234567890123456789,9007199254740991,null]'])(
    '%s needs no word',
    async (values) => {
      const { status, headers } = await post(values);
      expect([status, headers.rounded]).toEqual([201, undefined]);
    },
  );

  test('by channel, of a large body too', async () => {
    for (const count of [1, 1_000]) {
      const [timestamps, values] = [Array(count).fill(1), Array(count).fill(2)];
      const text = JSON.stringify({ timestamps, values });
      const last = text.replace(/2\]\}$/, '18446744073709551615]}');
      const body = `{"data_id":"${dataId}","chunk_index":0,"channels":{"a":${text},"µ":${last}}}`;
      const { status, headers } = await server.post('/metrology/stream/chunk/multi', body);
      expect([status, headers.rounded]).toEqual([201, `%"channels.%c2%b5.values[${count - 1}]";count=1`]);
    }
  });

  test('and is counted', async () => {
    const counted = async () =>
      Number(/^metrology_rounded_numbers_total (\d+)$/m.exec((await server.get('/metrics')).text)?.[1]);
    const before = await counted();
    await post('[1,9007199254740993,-9007199254740993]');
    expect(await counted()).toBe(before + 2);
  });
});

describe('a document that is kept as it is does not take them', () => {
  test('the configuration of a project', async () => {
    const { json: project } = await server.post('/projects/', { name: 'numbers' });
    const url = `/projects/${project.id}/configuration`;
    expect((await server.post(url, { id: 9007199254740991, mean: 0.1 })).status).toBe(200);
    for (const literal of ['9007199254740993', '1e400']) {
      const { status, json } = await server.post(url, `{"id":1,"list":[{"serial":${literal}}]}`);
      expect(status).toBe(422);
      expect(json.detail).toEqual([
        {
          type: 'value_error',
          loc: ['body', 'list', 0, 'serial'],
          msg: expect.stringContaining(`${literal} would be stored as ${Number(literal)}`),
          input: literal,
        },
      ]);
    }
    const { json: kept } = await server.get(url);
    expect(kept.api_configuration).toEqual({ id: 9007199254740991, mean: 0.1 });
  });

  test('what a sample is described by, when it is created and when it is changed', async () => {
    const metadata = '{"physical_sample_metadata":{"id":9007199254740993}';
    const refused = await server.post('/physical_samples/', `${metadata},"name":"big"}`);
    expect(refused.json.detail[0].loc).toEqual(['body', 'physical_sample_metadata', 'id']);
    const { json: sample } = await server.post('/physical_samples/', { name: 'big' });
    const changed = await server.send('PATCH', `/physical_samples/${sample.id}`, `${metadata}}`);
    expect([changed.status, changed.json.detail[0].loc]).toEqual([422, ['body', 'physical_sample_metadata', 'id']]);
  });
});
