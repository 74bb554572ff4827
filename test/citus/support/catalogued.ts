import type { TestServer } from '../../support/test-server.ts';

/** What a filled catalogue has, by the ids under which searches name it. */
export interface Catalogued {
  data: string[];
  samples: string[];
  projects: string[];
  tags: string[];
  instruments: number[];
}

const chunkUrl = '/metrology/stream/chunk';
const runs = 48;

/**
 * Fills the catalogue of two organizations with what searches tell apart: names that differ in case and in how a character is
 * encoded, links of every kind, notes, documents that are read apart, and entries that are finalized, deleted or without data.
 */
export async function fillCatalogue(server: TestServer): Promise<Catalogued> {
  const own = await fillOrganization(server, server.keys.ada, server.keys.grace);
  await fillOrganization(server, server.keys.rival, server.keys.rival);
  return own;
}

/** Spreads the entries over days; some of them were opened at the same moment. For one PostgreSQL. */
export async function spreadOverDays({ owner }: TestServer): Promise<void> {
  await owner.pool.query(
    `with numbered as (select data_id, row_number() over (order by data_id) as number from streams)
     update streams as stream
     set created_at = timestamptz '2026-01-01' + make_interval(days => (number / 5)::integer),
         changed_at = timestamptz '2026-02-01' + make_interval(hours => number::integer)
     from numbered where numbered.data_id = stream.data_id`,
  );
  await owner.pool.query(
    `update channels set changed_at = timestamptz '2026-03-01' + make_interval(hours => channel_id::integer % 700)
     where channel_name <> 'live'`,
  );
}

async function fillOrganization(server: TestServer, key: string, second: string): Promise<Catalogued> {
  const post = async (url: string, body: object, by = key) => {
    const { status, json, text } = await server.post(url, body, by);
    if (status >= 300) throw new Error(`${status} ${url} ${text}`);
    return json;
  };
  const made: Catalogued = { data: [], samples: [], projects: [], tags: [], instruments: [] };
  for (const label of ['MBE', 'mbe', 'Öfen'])
    made.instruments.push((await post('/instruments/synthesis', { label, type: 'mbe' })).synth_source_id);
  for (const name of ['wafer 1', 'WAFER ß', 'Gallium', 'empty'])
    made.samples.push((await post('/physical_samples/', sample(name, made.instruments))).id);
  for (const name of ['GaN', 'Ärger', 'unused']) made.projects.push((await post('/projects/', { name })).id);
  for (const name of ['growth', 'Übung', 'bad']) made.tags.push((await post('/tags/', { name })).id);
  for (const i of [0, 1])
    await post(`/projects/${made.projects[i]}/configuration/tracking_samples`, {
      physical_sample_id: made.samples[i],
      set_active: true,
    });
  await post(`/projects/${made.projects[0]}/configuration`, { recipe: 'x'.repeat(5_000) });
  for (let i = 0; i < runs; i++) {
    const body = { stream_name: `Run ${i}${i % 7 === 0 ? ' Glühen' : ''}`, points_per_chunk: 10, ...linksOf(made, i) };
    made.data.push((await post('/metrology/stream/initialize', body, i % 3 === 0 ? second : key)).data_id);
  }
  await fillRuns(server, made, key, post);
  return made;
}

const sample = (name: string, instruments: number[]) => ({
  name,
  ...(name === 'Gallium' && {
    growth_instrument_id: instruments[1],
    physical_sample_metadata: { of: 'y'.repeat(4_000) },
  }),
});

const linksOf = (made: Catalogued, i: number) => ({
  ...(i % 4 < 3 && { physical_sample_id: made.samples[i % 4] }),
  ...(i % 5 === 1 && { project_id: made.projects[i % 2] }),
  ...(i % 2 === 0 && { synth_source_id: made.instruments[i % 3] }),
});

async function fillRuns(
  server: TestServer,
  made: Catalogued,
  key: string,
  post: (url: string, body: object) => Promise<unknown>,
): Promise<void> {
  for (const [i, data_id] of made.data.entries()) {
    // Every sixth has no data.
    if (i % 6 === 5) continue;
    for (const channel_name of i % 4 === 0 ? ['Druck', 'live'] : ['pressure'])
      await post(chunkUrl, { data_id, chunk_index: i % 3, channel_name, timestamps: [i, i + i / 7], values: [1, 2] });
  }
  const some = (every: number) => made.data.filter((_, i) => i % every === 1);
  await post('/tags/data-items/', { data_ids: some(4), tag_ids: made.tags.slice(0, 2) });
  await post('/tags/data-items/', { data_ids: some(9), tag_ids: made.tags.slice(2) });
  for (const data_id of some(5)) await post(`/metrology/stream/${data_id}/finalize`, {});
  const change = async (dataId: string, body: object) => {
    const { status } = await server.send('PATCH', `/data_entries/${dataId}`, body, key);
    if (status !== 200) throw new Error(`${status} for a change`);
  };
  for (const dataId of some(8)) await change(dataId, { detail_note_content: 'Needs annealing' });
  for (const dataId of some(11)) await change(dataId, { pipeline_status: 'error', char_source_type: 'tool_state' });
  await server.send(
    'DELETE',
    `/data_entries/?${some(13)
      .map((id) => `data_ids=${id}`)
      .join('&')}`,
    undefined,
    key,
  );
}
