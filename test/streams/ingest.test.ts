import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { channelRows, chunkBody, openStream, prefixes, recountedChannels, storedChunks } from './support/chunks.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Who wrote (xmin) and who locked (xmax) each row of a stream: both stay when nothing is written to the log. */
async function rowVersions(dataId: string) {
  const { rows } = await server.owner.pool.query(
    `select 'streams', xmin::text, xmax::text from streams where data_id = $1::uuid
     union all select 'channels', xmin::text, xmax::text from channels where data_id = $1::uuid
     union all select 'chunks', xmin::text, xmax::text from chunks where data_id = $1::uuid`,
    [dataId],
  );
  expect(rows.length).toBe(3);
  return rows;
}

describe('initialize', () => {
  test.each(prefixes)('answers two ids under %s, each of its own', async (prefix) => {
    const { status, json } = await server.post(`${prefix}/initialize`, { points_per_chunk: 10 });
    expect(status).toBe(200);
    expect(Object.keys(json).sort()).toEqual(['data_id', 'processed_data_id']);
    expect(json.data_id).toMatch(uuid);
    expect(json.processed_data_id).toMatch(uuid);
    expect(json.processed_data_id).not.toBe(json.data_id);
  });

  test('takes what each generation of the SDK sends', async () => {
    const g4 = { stream_name: null, points_per_chunk: 100, project_id: null };
    const g1 = { ...g4, stream_name: 'Run', instrument_type: 'mbe', physical_sample_id: null };
    for (const body of [g4, g1, { ...g4, something_new: { a: 1 } }]) {
      expect((await server.post('/tool-state/stream/initialize', body)).status).toBe(200);
    }
  });

  test('makes up a name when none is given', async () => {
    for (const stream_name of [null, '', '  ', undefined]) {
      const dataId = await openStream(server, { stream_name });
      const { rows } = await server.owner.pool.query('select stream_name from streams where data_id = $1', [dataId]);
      expect(rows[0].stream_name).toMatch(/^Stream \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    }
  });

  test('refuses links to what is not there, and then makes no stream', async () => {
    const count = async () => (await server.owner.pool.query('select count(*) from streams')).rows[0].count;
    const before = await count();
    for (const [field, value, what] of [
      ['project_id', randomUUID(), 'Project'],
      ['physical_sample_id', randomUUID(), 'Physical sample'],
      ['synth_source_id', 4711, 'Growth instrument'],
    ] as const) {
      const { status, json } = await server.post('/tool-state/stream/initialize', {
        points_per_chunk: 1,
        [field]: value,
      });
      expect([status, json.detail]).toEqual([404, `${what} not found`]);
    }
    expect(await count()).toBe(before);
  });
});

describe('chunk', () => {
  test('is stored at chunk_index × points_per_chunk and counted', async () => {
    const dataId = await openStream(server, { points_per_chunk: 100 });
    const answer = await server.post(
      '/tool-state/stream/chunk',
      chunkBody(dataId, 7, 'thickness', [0, 5.2, 10.1], { units: 'nm' }),
    );
    expect(answer.status).toBe(201);
    expect(answer.json).toEqual({ data_id: dataId, channel_name: 'thickness', chunk_index: 7, total_points: 3 });
    const [row] = await storedChunks(server, dataId);
    expect(row).toMatchObject({
      start_offset: 700,
      point_count: 3,
      values: [0, 5.2, 10.1],
      units: 'nm',
      ascending: true,
    });
  });

  test('a stream that was opened under one prefix is fed under all', async () => {
    const dataId = await openStream(server);
    for (const [index, prefix] of prefixes.entries()) {
      const { status, json } = await server.post(`${prefix}/chunk`, chunkBody(dataId, index, 't', [1, 2, 3]));
      expect([status, json.total_points]).toEqual([201, (index + 1) * 3]);
    }
  });

  test('an identical replay is 201 with the same total and writes nothing', async () => {
    const dataId = await openStream(server);
    const body = chunkBody(dataId, 0, 't', [1, null, -0], { units: 'C' });
    const first = await server.post('/tool-state/stream/chunk', body);
    const before = await rowVersions(dataId);
    const again = await server.post('/metrology/stream/chunk', body);
    expect([again.status, again.json]).toEqual([201, first.json]);
    expect(await rowVersions(dataId)).toEqual(before);
  });

  test('other content replaces the slice, of any length, and totals stay exact', async () => {
    const dataId = await openStream(server);
    const totals: number[] = [];
    for (const values of [[1, 2, 3], [1, 2, 3, 4, 5], [9], [-0], [0]]) {
      const { status, json } = await server.post('/tool-state/stream/chunk', chunkBody(dataId, 2, 't', values));
      expect(status).toBe(201);
      totals.push(json.total_points);
    }
    expect(totals).toEqual([3, 5, 1, 1, 1]);
    const [row] = await storedChunks(server, dataId);
    expect(row?.replaced_count).toBe(4);
    expect(Object.is(row?.values[0], 0)).toBe(true);
  });

  test('a chunk longer than points_per_chunk leaves its neighbour alone', async () => {
    const dataId = await openStream(server);
    await server.post('/tool-state/stream/chunk', chunkBody(dataId, 1, 't', [10, 11, 12]));
    const { json } = await server.post('/tool-state/stream/chunk', chunkBody(dataId, 0, 't', [0, 1, 2, 3, 4, 5, 6]));
    expect(json.total_points).toBe(10);
    const rows = await storedChunks(server, dataId);
    expect(rows.map((row) => [row.start_offset, row.values.length])).toEqual([
      [0, 7],
      [3, 3],
    ]);
  });

  test('every bit of a float64 is kept, and null stays null', async () => {
    const dataId = await openStream(server);
    const values = [
      5e-324,
      -5e-324,
      1.7976931348623157e308,
      2 ** 53 + 2,
      0.1 + 0.2,
      -0,
      1e21,
      null,
      123456789.12345679,
    ];
    const timestamps = [0, 0.01, -1, 1705312200.123456, null, 1e300, 253402300800, 1705312200.1234567, 4];
    await server.post('/tool-state/stream/chunk', chunkBody(dataId, 0, 't', values, { timestamps }));
    const [row] = await storedChunks(server, dataId);
    expect(row?.values.map((value) => Object.is(value, -0))).toEqual(values.map((value) => Object.is(value, -0)));
    expect(row?.values).toEqual(values);
    expect(row?.timestamps).toEqual(timestamps);
    expect(row).toMatchObject({ null_count: 1, time_min: -1, time_max: 253402300800, ascending: false });
  });

  test('units belong to their chunk; the channel shows that of its highest chunk that has one', async () => {
    const dataId = await openStream(server);
    const unitAfter = async (index: number, units: string | null | undefined, value = index) => {
      await server.post(
        '/tool-state/stream/chunk',
        chunkBody(dataId, index, 't', [value], units === undefined ? {} : { units }),
      );
      return (await channelRows(server, dataId))[0]?.units;
    };
    expect(await unitAfter(0, undefined)).toBe(null);
    expect(await unitAfter(2, 'K')).toBe('K');
    expect(await unitAfter(1, 'C')).toBe('K');
    expect(await unitAfter(3, undefined)).toBe('K');
    expect(await unitAfter(4, '')).toBe('K');
    expect(await unitAfter(5, null)).toBe('K');
    expect(await unitAfter(1, 'C')).toBe('K');
    expect(await unitAfter(2, 'F', 77)).toBe('F');
    expect(await unitAfter(2, undefined, 78)).toBe('C');
    expect((await storedChunks(server, dataId)).map((row) => row.units)).toEqual([null, 'C', null, null, null, null]);
  });

  test('a chunk knows its extreme values and when they were, its channel the longest span of a chunk', async () => {
    const dataId = await openStream(server);
    const send = (index: number, timestamps: (number | null)[], values: (number | null)[]) =>
      server.post('/tool-state/stream/chunk', chunkBody(dataId, index, 't', values, { timestamps }));
    await send(0, [10, 11, 12, 19, 14], [5, -0, 0, 5, null]);
    await send(1, [null, 1e300, 21, 22], [1, 2, 3, 4]);
    await send(2, [30, null], [null, 7]);
    await send(0, [10, 11], [1, 2]);
    const rows = await storedChunks(server, dataId);
    expect(rows.map((row) => [row.value_min, row.value_min_time, row.value_max, row.value_max_time])).toEqual([
      [1, 10, 2, 11],
      [3, 21, 4, 22],
      [null, null, null, null],
    ]);
    await send(0, [10, 11, 12, 19, 14], [5, -0, 0, 5, null]);
    const [first] = await storedChunks(server, dataId);
    expect([first?.value_min, first?.value_min_time, first?.value_max, first?.value_max_time]).toEqual([-0, 11, 5, 10]);
    const { rows: channels } = await server.owner.pool.query(
      'select chunk_seconds_max from channels where data_id = $1::uuid',
      [dataId],
    );
    expect(channels).toEqual([{ chunk_seconds_max: 9 }]);
  });

  test('the span of a channel shrinks again when the chunk that held its end is replaced', async () => {
    const dataId = await openStream(server);
    const send = (index: number, timestamps: number[]) =>
      server.post('/tool-state/stream/chunk', chunkBody(dataId, index, 't', timestamps, { timestamps }));
    await send(0, [10, 20]);
    await send(1, [30, 999]);
    await send(2, [-5, 25]);
    expect((await channelRows(server, dataId))[0]).toMatchObject({ time_min: -5, time_max: 999 });
    await send(1, [30, 40]);
    await send(2, [22, 25]);
    expect(await channelRows(server, dataId)).toEqual(await recountedChannels(server, dataId));
    expect((await channelRows(server, dataId))[0]).toMatchObject({ time_min: 10, time_max: 40 });
  });
});

describe('chunk/multi', () => {
  test.each(prefixes)('answers one receipt per channel in the order sent, under %s', async (prefix) => {
    const dataId = await openStream(server);
    const channels = {
      z: { timestamps: [1, 2], values: [1, null], units: 'nm' },
      a: { timestamps: [1], values: [2] },
    };
    const { status, json } = await server.post(`${prefix}/chunk/multi`, { data_id: dataId, chunk_index: 4, channels });
    expect(status).toBe(201);
    expect(json).toEqual([
      { data_id: dataId, channel_name: 'z', chunk_index: 4, total_points: 2 },
      { data_id: dataId, channel_name: 'a', chunk_index: 4, total_points: 1 },
    ]);
  });

  test('mixes new, unchanged and replaced channels in one request', async () => {
    const dataId = await openStream(server);
    const send = (channels: Record<string, number[]>) =>
      server.post('/tool-state/stream/chunk/multi', {
        data_id: dataId,
        chunk_index: 0,
        channels: Object.fromEntries(Object.entries(channels).map(([name, v]) => [name, { timestamps: v, values: v }])),
      });
    await send({ same: [1, 2], other: [1, 2] });
    const before = (await storedChunks(server, dataId)).find((row) => row.channel_name === 'same');
    const { json } = await send({ same: [1, 2], other: [3], fresh: [1, 2, 3] });
    expect(json.map((receipt: { total_points: number }) => receipt.total_points)).toEqual([2, 1, 3]);
    const after = (await storedChunks(server, dataId)).find((row) => row.channel_name === 'same');
    expect(after).toEqual(before);
    expect(await channelRows(server, dataId)).toEqual(await recountedChannels(server, dataId));
  });

  test('one bad channel: nothing of the request is stored, and the answer names it', async () => {
    const dataId = await openStream(server);
    const good = { timestamps: [1], values: [1] };
    for (const [bad, loc] of [
      [{ timestamps: [1, 2], values: [1] }, ['body', 'channels', 'bad']],
      [{ timestamps: [], values: [] }, ['body', 'channels', 'bad']],
      [{ timestamps: [1], values: ['x'] }, ['body', 'channels', 'bad', 'values', 0]],
      [{ timestamps: [1] }, ['body', 'channels', 'bad', 'values']],
    ] as const) {
      const channels = { a: good, bad, z: good };
      const { status, json } = await server.post('/tool-state/stream/chunk/multi', {
        data_id: dataId,
        chunk_index: 0,
        channels,
      });
      expect([status, json.detail[0].loc]).toEqual([422, loc]);
    }
    expect(await channelRows(server, dataId)).toEqual([]);
  });

  test('awkward channel names are data', async () => {
    const names = [
      '__proto__',
      'constructor',
      'toString',
      'Time',
      'UNIX Timestamp',
      'a/b %',
      'µ',
      '😀',
      ' ',
      'a\nb',
      'x'.repeat(255),
    ];
    const dataId = await openStream(server);
    const channels = names.map((name) => `${JSON.stringify(name)}:{"timestamps":[1],"values":[2]}`).join(',');
    const body = `{"data_id":"${dataId}","chunk_index":0,"channels":{${channels}}}`;
    const { status, json } = await server.post('/tool-state/stream/chunk/multi', body);
    expect(status).toBe(201);
    expect(json.map((receipt: { channel_name: string }) => receipt.channel_name)).toEqual(names);
    expect(new Set((await channelRows(server, dataId)).map((row) => row.channel_name))).toEqual(new Set(names));
  });

  test('hundreds of channels in one request', async () => {
    const dataId = await openStream(server);
    const channels = Object.fromEntries(
      Array.from({ length: 700 }, (_, i) => [`channel ${i}`, { timestamps: [1, 2], values: [i, null] }]),
    );
    const { status, json } = await server.post('/tool-state/stream/chunk/multi', {
      data_id: dataId,
      chunk_index: 1,
      channels,
    });
    expect([status, json.length]).toEqual([201, 700]);
    expect(await channelRows(server, dataId)).toEqual(await recountedChannels(server, dataId));
  });
});

describe('whose stream it is', () => {
  test('a foreign stream is answered like an unknown one, byte for byte', async () => {
    const dataId = await openStream(server);
    const calls: [string, (id: string) => unknown][] = [
      ['/tool-state/stream/chunk', (id) => chunkBody(id, 0, 't', [1])],
      [
        '/tool-state/stream/chunk/multi',
        (id) => ({ data_id: id, chunk_index: 0, channels: { t: { timestamps: [1], values: [1] } } }),
      ],
    ];
    for (const [url, body] of calls) {
      const foreign = await server.post(url, body(dataId), server.keys.rival);
      const unknown = await server.post(url, body(randomUUID()), server.keys.rival);
      expect([foreign.status, foreign.text]).toEqual([404, unknown.text]);
    }
    const foreign = await server.post(`/tool-state/stream/${dataId}/finalize`, undefined, server.keys.rival);
    const unknown = await server.post(`/tool-state/stream/${randomUUID()}/finalize`, undefined, server.keys.rival);
    expect([foreign.status, foreign.text]).toEqual([404, unknown.text]);
    expect(await storedChunks(server, dataId)).toEqual([]);
  });

  test('an id in upper case is the same stream and is answered in lower case', async () => {
    const dataId = await openStream(server);
    const { status, json } = await server.post(
      '/tool-state/stream/chunk',
      chunkBody(dataId.toUpperCase(), 0, 't', [1]),
    );
    expect([status, json.data_id]).toEqual([201, dataId]);
  });
});
