import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { earlier } from '../support/earlier.ts';
import { joinTestServer, startTestServer, type TestLimits, type TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

const post = async (url: string, body: object, key = server.keys.ada) => {
  const { status, json, text } = await server.post(url, body, key);
  expect(status, `${url}: ${text}`).toBeLessThan(300);
  return json;
};
const open = async (stream_name: string, more: object = {}, key?: string): Promise<string> =>
  (await post('/metrology/stream/initialize', { points_per_chunk: 2, stream_name, ...more }, key)).data_id;
const chunk = (data_id: string, chunk_index: number, channel_name = 'p', timestamps = [1, 2], key?: string) =>
  post('/metrology/stream/chunk', { data_id, chunk_index, channel_name, timestamps, values: timestamps }, key);
const tag = async (name: string, data_ids: string[]) => {
  const { id } = await post('/tags/', { name });
  await post('/tags/data-items/', { data_ids, tag_ids: [id] });
  return id as string;
};
const age = (dataId: string, interval: string) =>
  server.owner.pool.query(
    `with moved as (update streams set created_at = ${earlier('created_at')} where data_id = $1::uuid)
     update channels set changed_at = ${earlier('changed_at')} where data_id = $1::uuid`,
    [dataId, interval],
  );

interface Listed {
  data_id: string;
  name: string;
}
const list = async (query: string, on = server, key?: string) => {
  const { status, json, text } = await on.get(`/runs/${query}`, key);
  expect(status, text).toBe(200);
  return json;
};
const names = async (query: string, key?: string) =>
  (await list(query, server, key)).runs.map(({ name }: Listed) => name);

/** All runs of a query, page by page. */
async function pages(query: string, on = server) {
  const all: Listed[][] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: { runs: Listed[]; next_cursor: string | null } = await list(
      `?${query}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
      on,
    );
    all.push(page.runs);
    cursor = page.next_cursor;
    expect(all.length).toBeLessThan(200);
  }
  return all;
}

async function withLimits(limits: TestLimits['catalogue'], work: (on: TestServer) => Promise<void>): Promise<void> {
  const bounded = await joinTestServer(server, {}, (database) => database, { catalogue: limits });
  await work(bounded).finally(() => bounded.close());
}

describe('a run', () => {
  test('is listed with all that a person looks for', async () => {
    const { synth_source_id: instrument } = await post('/instruments/synthesis', { label: 'Main MBE', type: 'mbe' });
    const { id: sample } = await post('/physical_samples/', { name: 'Wafer 7' });
    const { id: project } = await post('/projects/', { name: 'GaN' });
    const links = { synth_source_id: instrument, physical_sample_id: sample, project_id: project };
    const dataId = await open('All of it', links);
    await tag('good', [dataId]);
    await tag('Best', [dataId]);
    for (const index of [0, 1, 4]) await chunk(dataId, index, 'p', [1_000 + 2 * index, 1_001.5 + 2 * index]);
    await chunk(dataId, 2, 'q', [500, null as never]);
    const [run] = (await list('?search=all+of+it')).runs;
    expect(run).toEqual({
      data_id: dataId,
      name: 'All of it',
      status: 'live',
      created_at: expect.stringMatching(/Z$/),
      started_at: '1970-01-01T00:08:20Z',
      last_chunk_at: expect.stringMatching(/Z$/),
      finalized_at: null,
      seconds: 509.5,
      channel_count: 2,
      point_count: 8,
      // Of p 2 and 3, of q 0 and 1.
      missing_chunk_count: 4,
      sample: { id: sample, name: 'Wafer 7' },
      project: { id: project, name: 'GaN' },
      instrument: { id: instrument, name: 'Main MBE' },
      tags: ['Best', 'good'],
      user: 'ada',
    });
    const { channels } = (await server.get(`/metrology/stream/${dataId}/chunks`)).json;
    const missing = channels.flatMap((one: { missing: [number, number][] }) => one.missing);
    expect(missing.reduce((sum: number, [from, to]: [number, number]) => sum + to - from + 1, 0)).toBe(4);
  });

  test('that is empty, or has no possible time, says null', async () => {
    await open('Empty one');
    const [empty] = (await list('?search=empty+one')).runs;
    expect(empty).toMatchObject({ status: 'live', channel_count: 0, point_count: 0, missing_chunk_count: 0, tags: [] });
    expect(empty).toMatchObject({ started_at: null, last_chunk_at: null, seconds: null, sample: null, project: null });
    const far = await open('Far one');
    await chunk(far, 0, 'p', [1e30, 2e30]);
    expect((await list('?search=far+one')).runs[0]).toMatchObject({ started_at: null, channel_count: 1 });
  });

  test('is live, interrupted or finalized, and is found by it', async () => {
    const [live, silent, finalized, young] = [
      await open('state live'),
      await open('state silent'),
      await open('state finalized'),
      await open('state young'),
    ];
    for (const dataId of [live, silent, finalized]) await chunk(dataId, 0);
    await post(`/metrology/stream/${finalized}/finalize`, {});
    await age(silent, '61 minutes');
    // Opened long ago, and heard of lately.
    await server.owner.pool.query(`update streams set created_at = ${earlier('created_at')} where data_id = $1::uuid`, [
      live,
      '9 hours',
    ]);
    const states = (await list('?search=state')).runs.map((run: { name: string; status: string }) => [
      run.name,
      run.status,
    ]);
    expect(states).toEqual([
      ['state young', 'live'],
      ['state finalized', 'finalized'],
      ['state silent', 'interrupted'],
      ['state live', 'live'],
    ]);
    expect(await names('?search=state&status=live')).toEqual(['state young', 'state live']);
    expect(await names('?search=state&status=ended')).toEqual(['state finalized', 'state silent']);
    // It holds nothing, and is shown as long as something may come.
    await age(young, '61 minutes');
    expect(await names('?search=state+young')).toEqual([]);
  });

  test('that is deleted is not listed, and nobody sees one of another organization', async () => {
    const dataId = await open('Here today');
    expect(await names('?search=here+today')).toEqual(['Here today']);
    expect(await names('?search=here+today', server.keys.rival)).toEqual([]);
    expect((await list('', server, server.keys.rival)).total).toBe(0);
    await server.send('DELETE', `/data_entries/?data_ids=${dataId}`);
    expect(await names('?search=here+today')).toEqual([]);
  });
});

describe('filters', () => {
  let ids: Record<string, string>;
  beforeAll(async () => {
    const sample = (await post('/physical_samples/', { name: 'filtered wafer' })).id;
    const [ownProject, ofSample] = [
      (await post('/projects/', { name: 'Own Projekt' })).id,
      (await post('/projects/', { name: 'Of the sample' })).id,
    ];
    const instrument = (await post('/instruments/synthesis', { label: 'ALD Straße', type: 'ald' })).synth_source_id;
    await open('f sample', { physical_sample_id: sample, project_id: ofSample });
    const byProject = await open('f project', { project_id: ownProject });
    await open('f instrument', { synth_source_id: instrument });
    const tagged = await open('f tagged');
    const byGrace = await open('f grace', {}, server.keys.grace);
    const [hot, cold] = [await tag('Hot', [tagged, byProject]), await tag('cold', [byGrace])];
    await open('f nothing');
    await open('f sample alone', { physical_sample_id: sample });
    ids = { sample, ownProject, ofSample, instrument, hot, cold };
  });

  test.each([
    ['a sample', () => `sample_id=${ids.sample}`, ['f sample alone', 'f sample']],
    ['a sample in capitals', () => `sample_id=${ids.sample?.toUpperCase()}`, ['f sample alone', 'f sample']],
    ['a project of its own', () => `project_id=${ids.ownProject}`, ['f project']],
    ['a project of its sample', () => `project_id=${ids.ofSample}`, ['f sample alone', 'f sample']],
    [
      'two projects',
      () => `project_id=${ids.ofSample}&project_id=${ids.ownProject}`,
      ['f sample alone', 'f project', 'f sample'],
    ],
    ['an instrument by id', () => `instrument=${ids.instrument}`, ['f instrument']],
    ['an instrument by name, folded', () => 'instrument=ald+STRASSE', ['f instrument']],
    ['a tag by id', () => `tag=${ids.hot}`, ['f tagged', 'f project']],
    ['any of two tags by name', () => 'tag=hot&tag=COLD', ['f grace', 'f tagged', 'f project']],
    ['a user by name', () => 'user=Grace', ['f grace']],
    ['a tag and a project', () => `tag=hot&project_id=${ids.ownProject}`, ['f project']],
    ['a tag and a word', () => 'tag=hot&search=TAGGED', ['f tagged']],
    ['a part of a name', () => 'tag=ho', []],
    ['what nobody has', () => `tag=hot&user=nobody`, []],
    ['an unknown id', () => 'sample_id=00000000-0000-4000-8000-000000000001', []],
  ])('find runs of %s', async (_what, query, found) => {
    const page = await list(`?${query()}`);
    expect(page.runs.map(({ name }: Listed) => name)).toEqual(found);
    expect([page.next_cursor, page.total]).toEqual([null, found.length]);
  });

  test('do not find by the ids of another organization', async () => {
    for (const query of [
      `sample_id=${ids.sample}`,
      `project_id=${ids.ofSample}`,
      `instrument=${ids.instrument}`,
      `tag=${ids.hot}`,
    ]) {
      expect(await names(`?${query}`, server.keys.rival)).toEqual([]);
    }
  });

  test.each([
    ['tag=', 'tag'],
    [Array.from({ length: 51 }, (_, i) => `user=u${i}`).join('&'), 'user'],
    ['sample_id=x', 'sample_id'],
    ['status=dead', 'status'],
    ['limit=0', 'limit'],
    ['limit=501', 'limit'],
    ['cursor=x', 'cursor'],
    ['cursor=2026-13-01T00:00:00Z_00000000-0000-4000-8000-000000000001', 'cursor'],
    ['serach=x', 'serach'],
    [`search=${Array.from({ length: 301 }, (_, i) => i.toString(36)).join('+')}`, 'search'],
  ])('refuse %.60s', async (query, field) => {
    const { status, json } = await server.get(`/runs/?${query}`);
    expect([status, json.detail[0].loc]).toEqual([
      422,
      ['query', field, ...(field === 'tag' || field === 'sample_id' ? [0] : [])],
    ]);
  });
});

test('a search finds what a search for entries finds, whatever is named', async () => {
  const sample = (await post('/physical_samples/', { name: 'Пластина Ångström' })).id;
  const project = (await post('/projects/', { name: 'Quantum Wells' })).id;
  await post(`/projects/${project}/configuration/tracking_samples`, { physical_sample_id: sample, set_active: true });
  const instrument = (await post('/instruments/synthesis', { label: 'Sputter 3', type: 'ald' })).synth_source_id;
  const made = [
    await open('Growth run 417', { physical_sample_id: sample, synth_source_id: instrument }),
    await open('growth_run 418 50%', { project_id: project }, server.keys.grace),
    await open('Übergang \\ back', { instrument_type: 'pld' }),
    await open('plain'),
  ];
  await tag('Ångström day', [made[3] as string, made[1] as string]);
  await chunk(made[2] as string, 0, 'Temperature Zone 1');
  await chunk(made[3] as string, 0, 'rate');
  const searches = [
    'growth 417',
    '417 growth',
    'GROWTH',
    'пластина',
    'ångström',
    'A\u030angstro\u0308m',
    'quantum',
    'quantum grace',
    'sputter growth',
    'temperature',
    'zone übergang',
    'rate ångström',
    '%',
    '_',
    '\\',
    'back',
    'pld',
    'ada',
    'grace 418',
    'nothing',
    'growth nothing',
    sample.slice(0, 8),
    sample,
    project.slice(0, 13),
    made[0]?.slice(0, 8) as string,
    made[3] as string,
    made[3]?.slice(0, 7) as string,
    made[3]?.slice(1, 12) as string,
    `${made[1]?.slice(0, 8)} quantum`,
    '  ',
    'a',
    '1',
  ];
  for (const search of searches) {
    const query = encodeURIComponent(search);
    const entries = (await server.get(`/data_entries/?keywords=${query}`)).json.map((one: Listed) => one.data_id);
    const runs = (await pages(`search=${query}&limit=500`)).flat().map(({ data_id }) => data_id);
    expect([search, runs]).toEqual([search, entries]);
  }
});

describe('pages', () => {
  beforeAll(async () => {
    // Several were opened in one microsecond.
    await server.owner.pool.query(
      `insert into streams (organization_id, user_id, stream_name, points_per_chunk, created_at, finalized_at)
       select organization_id, user_id, 'paged ' || i, 1, now() - interval '1 day' - (i / 3) * interval '1 second', now()
       from users, generate_series(1, 50) as i where users.name = 'ada'`,
    );
  });

  test('have every run once, newest first, whatever is opened meanwhile', async () => {
    const whole = (await list('?search=paged')).runs.map(({ data_id }: Listed) => data_id);
    expect(whole).toHaveLength(50);
    const first = await list('?search=paged&limit=7');
    await open('paged later');
    const seen = first.runs;
    for (let cursor = first.next_cursor; cursor !== null; ) {
      const page = await list(`?search=paged&limit=7&cursor=${encodeURIComponent(cursor)}`);
      expect(page.total).toBeNull();
      seen.push(...page.runs);
      cursor = page.next_cursor;
    }
    expect(seen.map(({ data_id }: Listed) => data_id)).toEqual(whole);
  });

  test('say how many there are in all, as far as that is counted', async () => {
    const all = (await pages('limit=500')).flat().length;
    expect((await list('?limit=3')).total).toBe(all);
    expect((await list('?limit=3&user=ada&status=ended')).total).toBe(
      (await pages('user=ada&status=ended')).flat().length,
    );
    expect((await list('?search=paged&limit=3')).total).toBeNull();
    await withLimits({ runsCountedMax: 10 }, async (on) => {
      expect((await list('?limit=3', on)).total).toBeNull();
      expect((await list('?limit=3&tag=hot', on)).total).toBe(2);
    });
  });

  test('are bounded: what is looked through, what is described at a time, and what is answered', async () => {
    const whole = (await pages('search=paged')).flat();
    await withLimits(
      { runsLookMax: 4, runsLookedThroughMax: 8, runsDescribedMax: 3, runsMax: 20, runsUsual: 6 },
      async (on) => {
        const bounded = await pages('search=paged', on);
        expect(bounded.flat()).toEqual(whole);
        expect(bounded.length).toBeGreaterThan(8);
        expect((await list('', on)).runs).toHaveLength(6);
        expect((await on.get('/runs/?limit=21')).json.detail[0].msg).toContain('20');
        // Nothing is found, and it says where to go on.
        const none = await pages('search=nowhere', on);
        expect([none.flat(), none.length > 3]).toEqual([[], true]);
      },
    );
  });

  test('leave the missing chunks of a run with very many channels to its ledger', async () => {
    const dataId = await open('many channels');
    for (const name of ['a', 'b', 'c']) await chunk(dataId, 1, name);
    expect((await list('?search=many+channels')).runs[0].missing_chunk_count).toBe(3);
    await withLimits({ runChannelsCountedMax: 2 }, async (on) => {
      expect((await list('?search=many+channels', on)).runs[0]).toMatchObject({
        missing_chunk_count: null,
        channel_count: 3,
      });
    });
  });
});
