import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportLimits } from '../../src/exports/limits.ts';
import { packageCommit, packageVersion } from '../../src/lib/package-info.ts';
import { storeAsSent } from '../support/as-sent.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream, storeChunk } from '../timeseries/support/storing.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const start = 1_700_000_000;
type Reading = [number | null, number | null];

async function store(dataId: string, channel: string, index: number, points: Reading[], units?: string): Promise<void> {
  const [timestamps, values] = [points.map(([time]) => time), points.map(([, value]) => value)];
  await storeChunk(server, dataId, channel, { chunk_index: index, timestamps, values }, units);
}

async function csv(path: string): Promise<string> {
  const { status, text } = await server.get(path);
  expect([status, text.slice(0, 300)]).toEqual([200, text.slice(0, 300)]);
  return text;
}

async function parquet(path: string) {
  const answer = await server.app.inject({ url: path, headers: { 'x-api-key': server.keys.ada } });
  expect(answer.statusCode).toBe(200);
  const { rawPayload } = answer;
  const file = rawPayload.buffer.slice(rawPayload.byteOffset, rawPayload.byteOffset + rawPayload.length) as ArrayBuffer;
  const metadata = parquetMetadata(file);
  const rows = await parquetReadObjects({ file });
  return { rows, metadata, json: JSON.parse(metadata.key_value_metadata?.[0]?.value ?? 'null') };
}

describe('the long layout', () => {
  let dataId: string;
  beforeAll(async () => {
    dataId = await openStream(server, 3);
    await store(dataId, 'b', 1, [[start + 0.123_456_7, -0]]);
    // Longer than points_per_chunk, out of order, with absent times and readings, and a time that no calendar has.
    await store(
      dataId,
      'b',
      0,
      [
        [start + 1, 5e-324],
        [null, 1e308],
        [start, null],
        [1e300, 0.1 + 0.2],
      ],
      'nm',
    );
    await store(dataId, 'B, "b"', 2, [[-62_135_596_800, 25]], 'a,b');
  });

  test('as CSV is every stored point, by name, index and position', async () => {
    expect(await csv(`/exports/${dataId}`)).toBe(
      [
        'channel_name,chunk_index,point_offset,timestamp,time,value,units',
        '"B, ""b""",2,6,-62135596800.0,0001-01-01T00:00:00.000000Z,25.0,"a,b"',
        'b,0,0,1700000001.0,2023-11-14T22:13:21.000000Z,5e-324,nm',
        'b,0,1,,,1e+308,nm',
        'b,0,2,1700000000.0,2023-11-14T22:13:20.000000Z,,nm',
        'b,0,3,1e+300,,0.30000000000000004,nm',
        'b,1,3,1700000000.1234567,2023-11-14T22:13:20.123457Z,-0.0,',
        '',
      ].join('\n'),
    );
  });

  test('as Parquet is the same, with types', async () => {
    const { rows, metadata } = await parquet(`/exports/${dataId}?format=parquet`);
    const at = (text: string) => new Date(text);
    const row = (...[channel_name, chunk_index, point_offset, timestamp, time, value, units]: unknown[]) => ({
      ...{ channel_name, chunk_index, point_offset, timestamp, time, value, units },
    });
    const expected = [
      row('B, "b"', 2n, 6n, -62_135_596_800, at('0001-01-01T00:00:00Z'), 25, 'a,b'),
      row('b', 0n, 0n, 1_700_000_001, at('2023-11-14T22:13:21Z'), 5e-324, 'nm'),
      row('b', 0n, 1n, undefined, undefined, 1e308, 'nm'),
      row('b', 0n, 2n, 1_700_000_000, at('2023-11-14T22:13:20Z'), undefined, 'nm'),
      row('b', 0n, 3n, 1e300, undefined, 0.1 + 0.2, 'nm'),
      row('b', 1n, 3n, 1_700_000_000.123_456_7, at('2023-11-14T22:13:20.123Z'), -0, undefined),
    ];
    expect(rows.map((one) => JSON.stringify(one, asText))).toEqual(expected.map((one) => JSON.stringify(one, asText)));
    expect(Object.is(rows[5]?.value, -0)).toBe(true);
    expect(metadata.created_by).toBe(`metrology-server version ${packageVersion} (build ${packageCommit})`);
  });

  const asText = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : (value ?? null));

  test('of some channels', async () => {
    const text = await csv(`/exports/${dataId}?channel_names=B%2C+%22b%22`);
    expect(text.split('\n')).toHaveLength(3);
    const { status, json } = await server.get(`/exports/${dataId}?channel_names=c`);
    expect([status, json]).toEqual([404, { detail: 'channel not found' }]);
  });

  test('is the same in both formats over several row groups', async () => {
    const many = await openStream(server, 1_000);
    await fillChannel(server, many, 'v', { chunks: 70, points: 1_000 });
    await storeAsSent(server.owner);
    await server.owner.pool.query(
      'update chunks set values[7] = null, timestamps[8] = null where data_id = $1::uuid and chunk_index % 2 = 0',
      [many],
    );
    const lines = (await csv(`/exports/${many}`)).trimEnd().split('\n').slice(1);
    const { rows, metadata } = await parquet(`/exports/${many}?format=parquet`);
    expect(metadata.row_groups).toHaveLength(3);
    const cell = (value: unknown) => (value === null || value === undefined ? '' : String(value));
    const shown = rows.map((row) =>
      [row.channel_name, row.chunk_index, row.point_offset, row.timestamp, row.value].map(cell).join(),
    );
    const numbers = lines.map((line) => {
      const [name, index, offset, timestamp, , value] = line.split(',') as string[];
      return [
        name,
        index,
        offset,
        ...[timestamp, value].map((text) => (text === '' ? '' : String(Number(text)))),
      ].join();
    });
    expect(shown).toEqual(numbers);
  });

  test('keeps the largest offsets exact', async () => {
    const large = await openStream(server, 1);
    const index = Number.MAX_SAFE_INTEGER - 1;
    await store(large, 'v', 7, [[start, 1]]);
    await store(large, 'v', index, [[start, 2]]);
    expect(await csv(`/exports/${large}`)).toContain(`\nv,${index},${index},1700000000.0,`);
    const { rows } = await parquet(`/exports/${large}?format=parquet`);
    expect(rows.map((row) => [row.chunk_index, row.point_offset])).toEqual([
      [7n, 7n],
      [BigInt(index), BigInt(index)],
    ]);
  });
});

describe('the wide layout', () => {
  test('has one row for each exact time, in order, the last point of a time, and no rounding', async () => {
    const dataId = await openStream(server, 2);
    await store(
      dataId,
      'a',
      1,
      [
        [start, 1],
        [start + 0.000_000_5, 2],
      ],
      'nm',
    );
    await store(
      dataId,
      'a',
      0,
      [
        [start + 2, 3],
        [start + 1, 4],
        [null, 5],
        [1e300, 6],
      ],
      'nm',
    );
    await store(dataId, 'b', 0, [
      [start + 1, 7],
      [start, null],
    ]);
    // The same time again, in a later chunk: this one stands.
    await store(dataId, 'a', 2, [[start + 2, -0]], 'nm');
    await store(dataId, 'time', 0, [[start + 1, 9]]);
    expect(await csv(`/exports/${dataId}?layout=wide`)).toBe(
      [
        'time,timestamp,a,b,time (channel)',
        '2023-11-14T22:13:20.000000Z,1700000000.0,1.0,,',
        '2023-11-14T22:13:20.000000Z,1700000000.0000005,2.0,,',
        '2023-11-14T22:13:21.000000Z,1700000001.0,4.0,7.0,9.0',
        '2023-11-14T22:13:22.000000Z,1700000002.0,-0.0,,',
        '',
      ].join('\n'),
    );
    const { rows, metadata, json } = await parquet(`/exports/${dataId}?layout=wide&format=parquet`);
    expect(rows.map(({ timestamp, a, b }) => [timestamp, a, b])).toEqual([
      [start, 1, null],
      [start + 0.000_000_5, 2, null],
      [start + 1, 4, 7],
      [start + 2, -0, null],
    ]);
    expect(json.columns).toEqual([
      { name: 'time', type: 'time' },
      { name: 'timestamp', type: 'float64' },
      { name: 'a', type: 'float64', channel_name: 'a', units: 'nm' },
      { name: 'b', type: 'float64', channel_name: 'b', units: null },
      { name: 'time (channel)', type: 'float64', channel_name: 'time', units: null },
    ]);
    expect(metadata.row_groups[0]?.columns[2]?.meta_data?.key_value_metadata).toEqual([
      { key: 'channel_name', value: 'a' },
      { key: 'units', value: 'nm' },
    ]);
  });
});

describe('several streams', () => {
  let [one, two] = ['', ''];
  beforeAll(async () => {
    one = await openStream(server, 2);
    two = await openStream(server, 2);
    await store(one, 'p', 0, [[start, 1]], 'Pa');
    await store(one, 'q', 0, [[start, 2]], 'nm');
    await store(two, 'p', 0, [[start - 1, 3]], 'mbar');
  });

  test('stand one after the other, in the order of the ids, each row with its stream', async () => {
    const time = '2023-11-14T22:13:20.000000Z';
    expect(await csv(`/exports/?data_ids=${two}&data_ids=${one}&data_ids=${two.toUpperCase()}`)).toBe(
      [
        'data_id,channel_name,chunk_index,point_offset,timestamp,time,value,units',
        `${two},p,0,0,1699999999.0,2023-11-14T22:13:19.000000Z,3.0,mbar`,
        `${one},p,0,0,1700000000.0,${time},1.0,Pa`,
        `${one},q,0,0,1700000000.0,${time},2.0,nm`,
        '',
      ].join('\n'),
    );
    expect(await csv(`/exports?layout=wide&data_ids=${one}&data_ids=${two}`)).toBe(
      [
        'data_id,time,timestamp,p,q',
        `${one},${time},1700000000.0,1.0,2.0`,
        `${two},2023-11-14T22:13:19.000000Z,1699999999.0,3.0,`,
        '',
      ].join('\n'),
    );
    const { rows, json } = await parquet(`/exports/?layout=wide&format=parquet&data_ids=${one}&data_ids=${two}`);
    expect(rows.map(({ data_id, p, q }) => [data_id, p, q])).toEqual([
      [one, 1, 2],
      [two, 3, null],
    ]);
    // The streams do not agree on the unit of p.
    expect(json.columns.slice(3).map(({ units }: { units: string }) => units)).toEqual([null, 'nm']);
    const long = await parquet(`/exports/?format=parquet&data_ids=${one}&data_ids=${two}`);
    expect(long.rows.map(({ data_id, units }) => [data_id, units])).toEqual([
      [one, 'Pa'],
      [one, 'nm'],
      [two, 'mbar'],
    ]);
  });

  test('are found by the filters of the search too', async () => {
    const { json: project } = await server.post('/projects/', { name: 'exported' });
    const opened = { points_per_chunk: 1, project_id: project.id, stream_name: 'of the project' };
    const ids: string[] = [];
    for (const value of [1, 2]) {
      const { json } = await server.post('/tool-state/stream/initialize', opened);
      await store(json.data_id, 'v', 0, [[start, value]]);
      ids.push(json.data_id);
    }
    const all = (await csv(`/exports/?project_ids=${project.id}`)).trimEnd().split('\n').slice(1);
    expect(all.map((line) => line.slice(0, 36))).toEqual(ids.toReversed());
    const some = await csv(`/exports/?project_ids=${project.id}&data_ids=${one}&data_ids=${ids[0]}`);
    expect(some.trimEnd().split('\n').slice(1)).toHaveLength(1);
    expect(await csv(`/exports/?keywords=${crypto.randomUUID()}`)).toMatch(/^data_id,[^\n]*\n$/);
    const none = await parquet(`/exports/?format=parquet&keywords=${crypto.randomUUID()}`);
    expect([none.rows, none.json.streams]).toEqual([[], []]);
  });

  test('are not there once they are deleted', async () => {
    const deleted = await openStream(server, 1);
    await store(deleted, 'v', 0, [[start, 1]]);
    await server.send('DELETE', `/data_entries/?data_ids=${deleted}`);
    for (const path of [`/exports/${deleted}`, `/exports/${deleted}/metadata`, `/exports/?data_ids=${deleted}`]) {
      expect((await server.get(path)).status, path).toBe(404);
    }
  });

  test('must be named, exist and be few enough', async () => {
    const unknown = '00000000-0000-4000-8000-000000000001';
    const answers: [string, number, RegExp][] = [
      ['', 422, /say which streams/],
      ['?format=csv', 422, /say which streams/],
      [`?data_ids=${one}&data_ids=${unknown}`, 404, new RegExp(`^Data entry ${unknown} not found$`)],
      [`?data_ids=${one}&format=ods`, 422, /format must be equal to one of/],
      [`?data_ids=${one}&layout=tall`, 422, /layout must be equal to one of/],
      [`?data_ids=${one}&channel_names=nowhere`, 404, /^channel not found$/],
      [
        `?${Array.from({ length: exportLimits.streamsMax + 1 }, (_, i) => `data_ids=${unknown.slice(0, -4)}${9999 - i}`).join('&')}`,
        422,
        new RegExp(`at most ${exportLimits.streamsMax} streams`),
      ],
    ];
    for (const [query, status, words] of answers) {
      const answer = await server.get(`/exports/${query}`);
      expect([query.slice(0, 80), answer.status]).toEqual([query.slice(0, 80), status]);
      const { detail } = answer.json;
      expect(typeof detail === 'string' ? detail : detail[0].msg).toMatch(words);
      expect(answer.headers['content-disposition']).toBeUndefined();
    }
  });

  test('have few enough channels, and few enough different ones for a wide layout', async () => {
    const many = await openStream(server, 1);
    const { pool } = server.owner;
    const { columnsMax: exportColumnsMax, channelsMax: exportChannelsMax } = exportLimits;
    const add = (from: number, to: number) =>
      pool.query(
        `insert into channels (organization_id, data_id, channel_name, point_count, chunk_count)
         select (select organization_id from streams where data_id = $1::uuid), $1::uuid, 'c' || i, 1, 1 from generate_series($2::int, $3::int) i`,
        [many, from, to],
      );
    await add(1, exportColumnsMax);
    expect((await server.get(`/exports/${many}/metadata?layout=wide`)).status).toBe(200);
    await add(exportColumnsMax + 1, exportColumnsMax + 1);
    expect((await server.get(`/exports/${many}/metadata`)).status).toBe(200);
    const wide = await server.get(`/exports/${many}?layout=wide`);
    expect([wide.status, wide.json.detail[0].msg]).toEqual([
      422,
      `an export holds at most ${exportColumnsMax} different channels in the wide layout; choose fewer`,
    ]);
    expect((await server.get(`/exports/${many}?layout=wide&channel_names=c1`)).status).toBe(200);
    await add(exportColumnsMax + 2, exportChannelsMax + 1);
    const long = await server.get(`/exports/${many}`);
    expect([long.status, long.json.detail[0].msg]).toEqual([
      422,
      `an export holds at most ${exportChannelsMax} channels; choose fewer`,
    ]);
    await pool.query('delete from channels where data_id = $1::uuid', [many]);
  });
});

describe('names', () => {
  async function named(stream_name: string): Promise<string> {
    const { json } = await server.post('/tool-state/stream/initialize', { points_per_chunk: 1, stream_name });
    return json.data_id;
  }

  test('that a spreadsheet would run stand as they are, or escaped where that is asked for', async () => {
    const dataId = await named('formulas');
    for (const name of ['=1+1', '+a', '-a', '@a', '\ta', 'a=b']) await store(dataId, name, 0, [[start, -1]], '=nm');
    const exact = await csv(`/exports/${dataId}?layout=wide`);
    expect(exact.split('\n')[0]).toBe('time,timestamp,\ta,+a,-a,=1+1,@a,a=b');
    const escaped = await csv(`/exports/${dataId}?layout=wide&escape_formulas=True`);
    expect(escaped.split('\n')[0]).toBe("time,timestamp,'\ta,'+a,'-a,'=1+1,'@a,a=b");
    // Numbers are never touched.
    expect(escaped.split('\n')[1]).toMatch(/Z,1700000000\.0(,-1\.0){6}$/);
    const long = await csv(`/exports/${dataId}?escape_formulas=true`);
    expect(long).toMatch(/^'=1\+1,0,0,1700000000\.0,[^,]*,-1\.0,'=nm$/m);
  });

  test.each([
    ['Run 7', 'Run_7-ID-long.csv', undefined],
    ['../../etc/passwd', 'etc_passwd-ID-long.csv', undefined],
    ['a"b\r\nSet-Cookie: x', 'a_b_Set-Cookie_x-ID-long.csv', undefined],
    ['GaN 5 µm', 'GaN_5_µm-ID-long.csv', "UTF-8''GaN_5_%C2%B5m-ID-long.csv"],
    ['成長', '成長-ID-long.csv', "UTF-8''%E6%88%90%E9%95%B7-ID-long.csv"],
    ['...', 'stream-ID-long.csv', undefined],
    ['長'.repeat(300), `${'長'.repeat(40)}-ID-long.csv`, `UTF-8''${'%E9%95%B7'.repeat(40)}-ID-long.csv`],
  ])('of a file are safe: %s', async (streamName, fileName, extended) => {
    const dataId = await named(streamName);
    const { headers } = await server.get(`/exports/${dataId}`);
    const disposition = String(headers['content-disposition']).replaceAll(dataId.slice(0, 8), 'ID');
    const ascii = fileName.replace(/[^ -~]/g, '?');
    expect(disposition).toBe(
      extended === undefined
        ? `attachment; filename=${fileName}`
        : `attachment; filename="${ascii}"; filename*=${extended}`,
    );
    const { json } = await server.get(`/data_entries/raw_data/${dataId}?return_as=url-download`);
    expect(json.file_name.replaceAll(dataId.slice(0, 8), 'ID')).toBe(fileName);
  });

  test('of a selection tell how many streams it has', async () => {
    const ids = [await named('a'), await named('b')];
    const { headers } = await server.get(`/exports/?data_ids=${ids.join('&data_ids=')}&layout=wide&format=parquet`);
    expect(headers['content-disposition']).toBe('attachment; filename=export-of-2-streams-wide.parquet');
    expect(headers['content-type']).toBe('application/vnd.apache.parquet');
  });
});

describe('what describes an export', () => {
  test('says where the data come from, in Parquet, at an address of its own, and of a stream that is still growing', async () => {
    const { json: instrument } = await server.post('/instruments/synthesis', { label: 'Main MBE', type: 'mbe' });
    const { json: project } = await server.post('/projects/', { name: 'provenance' });
    const { json: sample } = await server.post('/physical_samples/', { name: 'wafer of provenance' });
    const { json: tag } = await server.post('/tags/', { name: 'provenance' });
    const { json: opened } = await server.post('/tool-state/stream/initialize', {
      ...{ points_per_chunk: 4, stream_name: 'Run 8', project_id: project.id },
      ...{ synth_source_id: instrument.synth_source_id, physical_sample_id: sample.id },
    });
    const dataId = opened.data_id;
    await server.post('/tags/data-items/', { data_ids: [dataId], tag_ids: [tag.id] });
    await store(
      dataId,
      'thickness',
      0,
      [
        [start, 1],
        [start + 1, 2],
      ],
      'nm',
    );
    const answer = await server.get(`/exports/${dataId}?layout=wide`);
    const link = /^<http:\/\/localhost(?::80)?(\/.*)>; rel="describedby"; type="application\/json"$/.exec(
      String(answer.headers.link),
    );
    const { json } = await server.get(link?.[1] as string);
    expect(json).toEqual({
      server: { name: 'metrology-server', version: packageVersion, commit: packageCommit },
      exported_at: expect.stringMatching(/^20\d\d-.*Z$/),
      layout: 'wide',
      columns: [
        { name: 'time', type: 'time' },
        { name: 'timestamp', type: 'float64' },
        { name: 'thickness', type: 'float64', channel_name: 'thickness', units: 'nm' },
      ],
      streams: [
        {
          ...{ data_id: dataId, stream_name: 'Run 8', points_per_chunk: 4, instrument_type: null, user: 'ada' },
          created_at: expect.stringMatching(/^20\d\d-.*Z$/),
          finalized_at: null,
          instrument: {
            ...{ id: instrument.synth_source_id, name: 'Main MBE', type: 'mbe', model: null, serial_id: null },
          },
          physical_sample: { id: sample.id, name: 'wafer of provenance' },
          project: { id: project.id, name: 'provenance' },
          tags: ['provenance'],
          channels: [
            {
              ...{ channel_name: 'thickness', units: 'nm', chunk_count: 1, point_count: 2 },
              ...{ time_min: start, time_max: start + 1 },
            },
          ],
        },
      ],
    });
    await server.post(`/tool-state/stream/${dataId}/finalize`);
    const file = await parquet(`/exports/${dataId}?layout=wide&format=parquet`);
    expect(file.json.streams[0].finalized_at).toMatch(/^20\d\d-.*Z$/);
    expect({ ...file.json, exported_at: 0, streams: 0 }).toEqual({ ...json, exported_at: 0, streams: 0 });
    const selection = await server.get(`/exports/metadata?data_ids=${dataId}`);
    expect(selection.json.columns[0]).toEqual({ name: 'data_id', type: 'text' });
  });

  test('has an address with the whole query, a question mark in it too', async () => {
    const dataId = await openStream(server, 1);
    await store(dataId, 'why?', 0, [[start, 1]]);
    const { headers } = await server.get(`/exports/${dataId}?channel_names=why?&layout=wide`);
    const [, address] = /^<(.*)>;/.exec(String(headers.link)) as RegExpExecArray;
    expect(new URL(address as string).search).toBe('?channel_names=why?&layout=wide');
  });
});

describe('the address that the SDK downloads from', () => {
  let dataId: string;
  beforeAll(async () => {
    dataId = await openStream(server, 1);
    await store(dataId, 'v', 0, [[start, 1]]);
  });
  const ask = async (headers: Record<string, string>, path = `/data_entries/processed_data/${dataId}`) => {
    const url = `${path}?return_as=url-download`;
    const { statusCode, payload } = await server.app.inject({
      url,
      headers: { 'x-api-key': server.keys.ada, ...headers },
    });
    return { status: statusCode, json: JSON.parse(payload) };
  };

  test('is absolute, without the key, and gives the file', async () => {
    for (const [kind, layout, header] of [
      ['processed_data', 'wide', 'time,timestamp,v'],
      ['raw_data', 'long', 'channel_name,chunk_index'],
    ]) {
      const { json } = await ask({ host: 'lab.example:8443' }, `/data_entries/${kind}/${dataId}`);
      expect(json).toEqual({
        url: `http://lab.example:8443/exports/${dataId}?format=csv&layout=${layout}&escape_formulas=true`,
        file_name: `a_run-${dataId.slice(0, 8)}-${layout}.csv`,
        file_format: 'csv',
      });
      expect(await csv(json.url.replace('http://lab.example:8443', ''))).toContain(header);
    }
  });

  test.each([
    [{ host: 'h', 'x-forwarded-proto': 'https' }, 'https://h/'],
    [
      { host: 'inner', 'x-forwarded-proto': 'https, http', 'x-forwarded-host': 'lab.example, inner' },
      'https://lab.example/',
    ],
    [{ host: '[::1]:8000' }, 'http://[::1]:8000/'],
    [{ host: 'h', 'x-forwarded-proto': 'javascript' }, 'http://h/'],
  ])('is where the client reached the server: %j', async (headers, begin) => {
    const { json } = await ask(headers as Record<string, string>);
    expect(json.url.startsWith(`${begin}exports/`)).toBe(true);
  });

  test('is refused where the request names no host', async () => {
    for (const host of ['a/b', 'a b', 'user@h', 'h:port']) {
      const { status, json } = await ask({ host });
      expect([host, status, json.detail]).toEqual([host, 400, expect.stringContaining('Host')]);
    }
  });

  test('is that of PUBLIC_URL where it is set', async () => {
    const published = await joinTestServer(server, { PUBLIC_URL: 'https://lab.example/metrology/' });
    try {
      const own = await openStream(published, 1);
      const { json } = await published.get(`/data_entries/raw_data/${own}?return_as=url-download`);
      expect(json.url.startsWith(`https://lab.example/metrology/exports/${own}?`)).toBe(true);
    } finally {
      await published.close();
    }
  });

  test('is 404 for what is not there and 422 for another kind of answer', async () => {
    const unknown = '00000000-0000-4000-8000-000000000001';
    const { status, json } = await ask({}, `/data_entries/raw_data/${unknown}`);
    expect([status, json]).toEqual([404, { detail: 'data_id not found' }]);
    expect((await server.get(`/data_entries/raw_data/${dataId}`)).status).toBe(422);
    expect((await server.get(`/data_entries/raw_data/${dataId}?return_as=bytes`)).status).toBe(422);
  });
});

describe('for Excel', () => {
  test('a byte order mark goes before a CSV of either layout, on request', async () => {
    const dataId = await openStream(server, 10);
    await store(dataId, 'Dicke', 0, [[start, 1]], 'µm');
    for (const layout of ['long', 'wide']) {
      const url = `/exports/${dataId}?layout=${layout}`;
      const bytes = async (more: string) =>
        (await server.app.inject({ url: url + more, headers: { 'x-api-key': server.keys.ada } })).rawPayload;
      const plain = await bytes('');
      expect(plain.subarray(0, 3).equals(Buffer.from('\ufeff'))).toBe(false);
      expect((await bytes('&bom=true')).equals(Buffer.concat([Buffer.from('\ufeff'), plain]))).toBe(true);
      expect((await bytes('&bom=false')).equals(plain)).toBe(true);
    }
  });

  test('units stand in the headers of wide files, on request, where no two columns come to be called alike', async () => {
    const [dataId, other] = [await openStream(server, 10), await openStream(server, 10)];
    await store(dataId, 'd', 0, [[start, 1]], 'nm');
    await store(dataId, 'e', 0, [[start, 2]]);
    await store(dataId, 'f', 0, [[start, 3]], 's');
    await store(dataId, 'f [s]', 0, [[start, 4]]);
    await store(dataId, 'time', 0, [[start, 5]], 's');
    await store(other, 'd', 0, [[start, 6]], 'Å');
    await store(other, 'e', 0, [[start, 7]]);
    const header = async (url: string) => (await csv(url)).split('\n')[0];
    const url = `/exports/${dataId}?layout=wide`;
    expect(await header(url)).toBe('time,timestamp,d,e,f,f [s],time (channel)');
    expect(await header(`${url}&units_in_headers=true`)).toBe('time,timestamp,d [nm],e,f,f [s],time (channel) [s]');
    expect(
      await header(`/exports/?data_ids=${dataId}&data_ids=${other}&layout=wide&units_in_headers=true&channel_names=d`),
    ).toBe('data_id,time,timestamp,d');
    const { json } = await server.get(`/exports/${dataId}/metadata?layout=wide&units_in_headers=true`);
    expect(json.columns[2]).toEqual({ name: 'd [nm]', type: 'float64', channel_name: 'd', units: 'nm' });
    const { rows } = await parquet(`${url}&units_in_headers=true&format=parquet`);
    expect(rows[0]).toMatchObject({ 'd [nm]': 1, e: 2, f: 3, 'f [s]': 4, 'time (channel) [s]': 5 });
    expect(await header(`/exports/${dataId}?units_in_headers=true`)).toContain('channel_name,');
  });
});
