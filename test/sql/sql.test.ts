import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chunkBody, openStream } from '../streams/support/chunks.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openReaders, type Reader } from './support/readers.ts';

let server: TestServer;
let lab: Reader;
let closeReaders: () => Promise<void>;
beforeAll(async () => {
  server = await startTestServer();
  const opened = await openReaders(server, ['lab']);
  lab = opened.readers.lab;
  closeReaders = opened.close;
});
afterAll(async () => {
  await closeReaders?.();
  await server.close();
});

const second = (offset: number) => new Date((1_700_000_000 + offset) * 1_000).toISOString();
async function push(dataId: string, index: number, name: string, values: (number | null)[], options: object = {}) {
  const answer = await server.post('/tool-state/stream/chunk', chunkBody(dataId, index, name, values, options));
  expect(answer.status, answer.text).toBe(201);
}
const asText = `data_id::text, stream_name, channel_name, units, "time" at time zone 'UTC' as "time", "timestamp", value,
                point_offset::integer`;

describe('points', () => {
  test('has one row a point: its chunk offset, its unit, its time, and the reading with all its bits', async () => {
    const dataId = await openStream(server, { stream_name: 'Run 7' });
    await push(dataId, 2, 'p', [0.1 + 0.2, -0], { timestamps: [1_700_000_000.123456, null] });
    await push(dataId, 0, 'p', [null], { timestamps: [1_700_000_001], units: 'Pa' });
    await push(dataId, 0, 't', [7], { timestamps: [0.25], units: 'C' });
    const rows = await lab.query(
      `select ${asText}, value::text as text from points
                                  where data_id = $1 order by channel_name, point_offset`,
      [dataId],
    );
    const common = { data_id: dataId, stream_name: 'Run 7' };
    const pressure = { ...common, channel_name: 'p', units: 'Pa' };
    expect(rows).toEqual([
      {
        ...pressure,
        time: new Date('2023-11-14T22:13:21Z'),
        timestamp: 1_700_000_001,
        value: null,
        text: null,
        point_offset: 0,
      },
      {
        ...pressure,
        time: new Date('2023-11-14T22:13:20.123Z'),
        timestamp: 1_700_000_000.123456,
        value: 0.30000000000000004,
        text: '0.30000000000000004',
        point_offset: 6,
      },
      { ...pressure, time: null, timestamp: null, value: -0, text: '-0', point_offset: 7 },
      {
        ...common,
        channel_name: 't',
        units: 'C',
        time: new Date(250),
        timestamp: 0.25,
        value: 7,
        text: '7',
        point_offset: 0,
      },
    ]);
  });

  test('has no time where PostgreSQL has none, and raises for none', async () => {
    const dataId = await openStream(server);
    const timestamps = [-1e300, -210_866_803_201, -210_866_803_200, 8_640_000_000_000, 8_640_000_000_001, 1e300];
    const values = timestamps.map((_, i) => i);
    await push(dataId, 0, 't', values, { timestamps });
    const rows = await lab.query(
      `select "time"::text as time, "timestamp" from points where data_id = $1 order by point_offset`,
      [dataId],
    );
    expect(rows.map((row) => row.timestamp)).toEqual(timestamps);
    expect(rows.map((row) => row.time !== null)).toEqual([false, false, true, true, false, false]);
    const all = await lab.query(`select value from points_between($1, '-infinity', 'infinity') order by 1`, [dataId]);
    expect(all).toEqual([{ value: 2 }, { value: 3 }]);
  });

  test('leaves deleted streams out, in every view', async () => {
    const dataId = await openStream(server);
    await push(dataId, 0, 't', [1]);
    const counts = async () => {
      const found: unknown[] = [];
      for (const from of ['points', 'point_channels', `points_between('${dataId}', '-infinity', 'infinity')`]) {
        found.push((await lab.query(`select count(*)::integer as n from ${from} where data_id = $1`, [dataId]))[0]?.n);
      }
      return found;
    };
    expect(await counts()).toEqual([1, 1, 1]);
    await server.send('DELETE', `/data_entries/?data_ids=${dataId}`);
    expect(await counts()).toEqual([0, 0, 0]);
  });
});

test('point_channels lists the channels that hold points', async () => {
  const dataId = await openStream(server, { stream_name: 'listed' });
  await push(dataId, 0, 't', [1, null], { timestamps: [10, 12], units: 'C' });
  await push(dataId, 0, 'never', [1], { timestamps: [null] });
  await server.post(`/tool-state/stream/${dataId}/finalize`);
  const rows = await lab.query('select * from point_channels where data_id = $1 order by channel_name', [dataId]);
  const common = {
    data_id: dataId,
    stream_name: 'listed',
    opened_at: expect.any(Date),
    finalized_at: expect.any(Date),
  };
  expect(rows).toEqual([
    { ...common, channel_name: 'never', units: null, point_count: '1', first_time: null, last_time: null },
    {
      ...common,
      channel_name: 't',
      units: 'C',
      point_count: '2',
      first_time: new Date(10_000),
      last_time: new Date(12_000),
    },
  ]);
});

describe('a window of time', () => {
  /**
   * Two channels of 300 chunks of ten seconds among sixty others, so that an index pays; every third chunk comes late, and
   * that of index 150 spans a minute.
   */
  async function fill(): Promise<string> {
    const dataId = await openStream(server, { points_per_chunk: 10 });
    const other = await openStream(server, { points_per_chunk: 10 });
    const channels = [
      ...['a', 'b'].map((name) => [dataId, name]),
      ...Array.from({ length: 60 }, (_, i) => [other, `${i}`]),
    ];
    for (const [stream, channel] of channels as [string, string][]) {
      await push(stream, 0, channel, [0], { timestamps: [1_700_000_000] });
      await server.owner.pool.query(
        `insert into chunks (organization_id, data_id, channel_id, chunk_index, start_offset, key_id, time_min, time_max, point_count,
                             null_count, ascending, content_hash, timestamps, values)
         select k.organization_id, k.data_id, k.channel_id, i, i * 10, k.key_id, t[1], t[10], 10, 0, true, k.content_hash, t, t
         from chunks k join channels c using (data_id, channel_id), generate_series(1, 299) as i,
           lateral (select array_agg(1700000000 + i * 10 + n * case when i = 150 then 6 else 1 end order by n)::float8[] as t
                    from generate_series(0, 9) as n) as times
         where k.data_id = $1 and c.channel_name = $2 order by i % 3, i`,
        [stream, channel],
      );
    }
    await server.owner.pool.query('update channels set chunk_seconds_max = 54');
    await server.owner.pool.query('analyze');
    return dataId;
  }

  /** How many rows of chunks a query reads. */
  async function chunksRead(query: string, values: unknown[]): Promise<number> {
    const read = `select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) as n
                  from pg_stat_xact_all_tables where relname = 'chunks' and schemaname = 'public'`;
    await lab.query('begin');
    const before = Number((await lab.query(read))[0]?.n ?? 0);
    await lab.query(query, values);
    const after = Number((await lab.query(read))[0]?.n ?? 0);
    await lab.query('commit');
    return after - before;
  }

  let dataId: string;
  beforeAll(async () => {
    dataId = await fill();
  });

  test('reads the chunks that can touch it, and no others; both bounds belong to it', async () => {
    const between = `select ${asText} from points_between($1, $2, $3, $4)`;
    const window = [dataId, second(2_005), second(2_031), null];
    const rows = await lab.query(between, window);
    const filtered = await lab.query(
      `select ${asText} from points where data_id = $1 and "time" between $2 and $3`,
      window.slice(0, 3),
    );
    const inOrder = (all: Record<string, unknown>[]) => all.map((row) => JSON.stringify(row)).sort();
    expect(rows).toHaveLength(2 * 27);
    expect(inOrder(rows)).toEqual(inOrder(filtered));
    const seconds = rows.map((row) => (row.timestamp as number) - 1_700_000_000);
    expect([Math.min(...seconds), Math.max(...seconds)]).toEqual([2_005, 2_031]);
    // Four chunks of a channel overlap; as one has spanned 54 s, four before those might as well, and are looked at.
    expect(await chunksRead(between, window)).toBe(2 * (4 + 4));
    expect(await chunksRead(between, [...window.slice(0, 3), ['a']])).toBe(4 + 4);
    expect(inOrder(await lab.query(between, [...window.slice(0, 3), ['a', 'none']]))).toHaveLength(27);
    // The wide chunk is found although it begins long before.
    const wide = await lab.query(between, [dataId, second(1_554), second(1_554), ['a']]);
    expect(wide.map((row) => row.point_offset).sort()).toEqual([1_509, 1_554]);
  });

  test('of one channel reads the chunks of that channel alone, through the view too', async () => {
    const all = `select count(*) from points where data_id = $1`;
    expect(await chunksRead(all, [dataId])).toBe(600);
    expect(await chunksRead(`${all} and channel_name = 'b'`, [dataId])).toBe(300);
  });

  test('is compared in microseconds, as the view shows times', async () => {
    const dataId = await openStream(server);
    // Neither is a whole microsecond in binary.
    await push(dataId, 0, 't', [1, 2], { timestamps: [1_700_000_000.1234562, 1_700_000_000.123457] });
    const times = (await lab.query(`select "time"::text as t from points where data_id = $1`, [dataId])).map(
      ({ t }) => t,
    );
    for (const time of times) {
      const found = await lab.query('select "time"::text as t from points_between($1, $2, $2)', [dataId, time]);
      expect(found).toContainEqual({ t: time });
    }
  });
});
