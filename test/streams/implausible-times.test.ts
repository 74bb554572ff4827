import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { httpLimits } from '../../src/http/limits.ts';
import { finerUnitOf } from '../../src/lib/time-unit.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({}, { streams: { loopBodyBytesMax: 4_096 } });
});
afterAll(() => server?.close());

const seconds = 1_769_846_400.25;
const { plausibleSecondsMin: earliest, plausibleSecondsMax: latest } = httpLimits;

const openStream = async (points = 3): Promise<string> =>
  (await server.post('/metrology/stream/initialize', { points_per_chunk: points })).json.data_id;

const post = async (dataId: string, timestamps: (number | null)[], chunk_index = 0) => {
  const values = timestamps.map((_, i) => i);
  const body = { data_id: dataId, chunk_index, channel_name: 'p', timestamps, values };
  const { status, headers, text } = await server.post('/metrology/stream/chunk', body);
  expect(status, text).toBe(201);
  return headers['implausible-times'];
};

/** A time of each kind that people send where Unix seconds belong, and what it is told. */
const kinds: [string, number, string | undefined][] = [
  ['ms', seconds * 1e3, 'ms'],
  ['µs', seconds * 1e6, 'us'],
  ['ns', seconds * 1e9, 'ns'],
  ['relative time', 12.5, undefined],
  ['zero', 0, undefined],
  ['negative', -1, undefined],
  ['Excel serial date', 46_054.3, undefined],
  ['Julian day', 2_461_071.8, undefined],
  ['modified Julian day', 61_071.3, undefined],
  ['LabVIEW, since 1904', seconds + 2_082_844_800, undefined],
  ['Cocoa, since 2001', seconds - 978_307_200, undefined],
  ['a clock that was not set, 1980', 315_532_800, undefined],
  ['a clock that was not set, 2000', 946_684_800, undefined],
  ['FILETIME, 100 ns since 1601', 134_142_480_000_000_000, undefined],
  ['ticks of .NET', 639_054_432_000_000_000, undefined],
];

describe('a chunk whose times are no plausible Unix seconds is stored as sent, and said', () => {
  test.each(kinds)('%s', async (_, time, unit) => {
    const dataId = await openStream();
    const times = [time, time, time];
    const word = unit === undefined ? '' : `;looks-like=${unit}`;
    expect(await post(dataId, times)).toBe(`"timestamps[0]";count=3${word}`);
    const { json } = await server.get(`/metrology/${dataId}/points/?channel=p`);
    expect(json.chunks[0].timestamps).toEqual(times);
    const ledger = (await server.get(`/metrology/stream/${dataId}/chunks`)).json;
    const mark = unit === undefined ? 'implausible_times' : `times_in_${unit}`;
    expect(ledger.channels[0].irregular[0].irregularities).toContain(mark);
    const certificate = (await server.get(`/metrology/stream/${dataId}/certificate`)).json;
    expect(certificate.channels[0].irregular[0].irregularities).toContain(mark);
  });

  test('both ends are plausible, what is beside them is not', async () => {
    const dataId = await openStream();
    expect(await post(dataId, [earliest, seconds, latest])).toBeUndefined();
    expect(await post(dataId, [earliest - 1, seconds, latest + 1])).toBe('"timestamps[0]";count=2');
    for (const end of [earliest, latest]) {
      expect(['ms', 'us', 'ns'].map((_, i) => finerUnitOf(end * 1_000 ** (i + 1), httpLimits))).toEqual([
        'ms',
        'us',
        'ns',
      ]);
    }
  });

  test('one among others, wherever it stands, and beside absent ones', async () => {
    const dataId = await openStream();
    expect(await post(dataId, [seconds, seconds + 1, seconds * 1e9])).toBe('"timestamps[2]";count=1;looks-like=ns');
    expect(await post(dataId, [null, 0, seconds])).toBe('"timestamps[1]";count=1');
    expect(await post(dataId, [seconds, null, seconds * 1e3])).toBe('"timestamps[2]";count=1;looks-like=ms');
    const { channels } = (await server.get(`/metrology/stream/${dataId}/chunks`)).json;
    expect(channels[0].irregular[0].irregularities).toEqual(['not_ascending', 'time_jump', 'times_in_ms']);
    // Absent times and such that step back are no other epoch.
    expect(await post(dataId, [null, null, null])).toBeUndefined();
    expect(await post(dataId, [seconds, null, seconds - 60])).toBeUndefined();
    const after = (await server.get(`/metrology/stream/${dataId}/chunks`)).json;
    expect(after.channels[0].irregular[0].irregularities).toEqual(['not_ascending']);
  });

  test('by channel, of a large body too', async () => {
    const dataId = await openStream();
    for (const count of [3, 1_000]) {
      const values = Array(count).fill(1);
      const times = (time: number) => ({ timestamps: values.map((_, i) => time + i), values });
      const channels = { a: times(seconds), 'µ b': times(seconds * 1e3), c: times(0) };
      const body = { data_id: dataId, chunk_index: 0, channels };
      const { status, headers } = await server.post('/metrology/stream/chunk/multi', body);
      const place = '%"channels.%c2%b5 b.timestamps[0]"';
      expect([status, headers['implausible-times']]).toEqual([201, `${place};count=${2 * count};looks-like=ms`]);
    }
  });

  test('a replay is told again, a refused chunk is not', async () => {
    const dataId = await openStream();
    for (let i = 0; i < 2; i++) expect(await post(dataId, [1, 2, 3])).toBe('"timestamps[0]";count=3');
    const body = { data_id: dataId, chunk_index: 0, channel_name: 'p', timestamps: [1, 2], values: [1] };
    const refused = await server.post('/metrology/stream/chunk', body);
    expect([refused.status, refused.headers['implausible-times']]).toEqual([422, undefined]);
  });

  test('and is counted', async () => {
    const counted = async (unit: string) => {
      const line = new RegExp(`^metrology_implausible_times_total\\{looks_like="${unit}"\\} (\\d+)$`, 'm');
      return Number(line.exec((await server.get('/metrics')).text)?.[1] ?? 0);
    };
    const dataId = await openStream();
    const before = [await counted('ns'), await counted('unknown')];
    await post(dataId, [seconds * 1e9, seconds * 1e9, seconds]);
    await post(dataId, [1, 2, 3], 1);
    expect([await counted('ns'), await counted('unknown')]).toEqual([(before[0] ?? 0) + 2, (before[1] ?? 0) + 3]);
  });
});

test('the range is a limit that can be set, for the receipt, the ledger and windows alike', async () => {
  const limits = { plausibleSecondsMin: 0, plausibleSecondsMax: 100 };
  const wide = await startTestServer({}, { http: limits });
  try {
    const { data_id } = (await wide.post('/metrology/stream/initialize', { points_per_chunk: 2 })).json;
    const body = { data_id, channel_name: 'p', values: [1, 2] };
    const send = (chunk_index: number, timestamps: number[]) =>
      wide.post('/metrology/stream/chunk', { ...body, chunk_index, timestamps });
    expect((await send(0, [0, 100])).headers['implausible-times']).toBeUndefined();
    expect((await send(1, [101, 102])).headers['implausible-times']).toBe('"timestamps[0]";count=2;looks-like=ms');
    const { channels } = (await wide.get(`/metrology/stream/${data_id}/chunks`)).json;
    expect(channels[0].irregular).toMatchObject([{ chunk_index: 1, irregularities: ['times_in_ms'] }]);
    expect((await wide.get(`/metrology/${data_id}/timeseries/?start=101`)).status).toBe(422);
    expect((await wide.get(`/metrology/${data_id}/timeseries/?start=100`)).status).toBe(200);
  } finally {
    await wide.close();
  }
});

describe('a window in another unit is refused with the value that is meant', () => {
  test.each([
    ['start', '1769846400250', 'milliseconds', 'send 1769846400.25 or 2026-01-31T08:00:00.250Z'],
    ['end', '1.76984640025e12', 'milliseconds', 'send 1769846400.25 or 2026-01-31T08:00:00.250Z'],
    ['start', '1769846400250000', 'microseconds', 'send 1769846400.25 or 2026-01-31T08:00:00.250Z'],
    ['end', '1769846400250000000', 'nanoseconds', 'send 1769846400.25 or 2026-01-31T08:00:00.250Z'],
  ])('%s=%s', async (name, text, unit, advice) => {
    const dataId = await openStream();
    const paths = [`/metrology/${dataId}/timeseries/?`, `/tool-state/${dataId}/timeseries/?`];
    for (const path of [...paths, `/exports/${dataId}?layout=wide&`]) {
      const { status, json } = await server.get(`${path}${name}=${text}`);
      expect(status).toBe(422);
      expect(json.detail).toMatchObject([{ loc: ['query', name], input: text }]);
      expect(json.detail[0].msg).toContain(unit);
      expect(json.detail[0].msg).toContain(advice);
    }
  });

  test("an answer's own unix_timestamp_ms, but not its seconds, nor relative times", async () => {
    const dataId = await openStream();
    await post(dataId, [seconds, seconds + 1, seconds + 2]);
    const url = `/metrology/${dataId}/timeseries/`;
    const [ms] = (await server.get(url)).json.properties.p.unix_timestamp_ms;
    expect((await server.get(`${url}?start=${ms}`)).status).toBe(422);
    expect((await server.get(`${url}?start=${ms / 1_000}`)).json.properties.p.values).toEqual([0, 1, 2]);
    const relative = await openStream();
    await post(relative, [0, 1, 2]);
    const { json } = await server.get(`/metrology/${relative}/timeseries/?start=1&end=46054`);
    expect(json.properties.p.values).toEqual([1, 2]);
  });

  test('a date-time where seconds are asked for', async () => {
    const dataId = await openStream();
    const hint = '2026-01-31T08:00:00.250Z is 1769846400.25 in Unix seconds';
    const query = await server.get(`/metrology/${dataId}/timeseries/?elapsed_seconds=2026-01-31T08:00:00.250Z`);
    expect([query.status, query.json.detail[0].loc]).toEqual([422, ['query', 'elapsed_seconds']]);
    expect(query.json.detail[0].msg).toContain(hint);
    const single = { data_id: dataId, chunk_index: 0, channel_name: 'p', timestamps: ['2026-01-31 09:00:00.250+01'] };
    const body = await server.post('/metrology/stream/chunk', { ...single, values: [1] });
    expect([body.status, body.json.detail[0].loc]).toEqual([422, ['body', 'timestamps', 0]]);
    const zoned = { ...single, timestamps: ['2026-01-31T09:00:00.250+01:00'], values: [1] };
    const offset = await server.post('/metrology/stream/chunk', zoned);
    expect(offset.json.detail[0].msg).toContain('2026-01-31T09:00:00.250+01:00 is 1769846400.25 in Unix seconds');
  });
});
