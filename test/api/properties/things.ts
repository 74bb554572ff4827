import fc from 'fast-check';
import type { TestServer } from '../../support/test-server.ts';
import type { Operation } from './document.ts';

/** By the name of a field or parameter: values that lead to something that is there. For lists: their items. */
export type Known = Record<string, fc.Arbitrary<unknown>>;

const writtenCount = 4;
const chunkTimes = [1705312200, 1705312210.5, 1705312220];
const dates = ['2020-01-31 08:00:00', '2120-01-31T08:00:00Z', '2024-01-15', '2024-01-15T09:50:00.0004+05:30'];

/** Makes what requests can name, so that they reach more than 404. @returns what each operation may name */
export async function makeThings(server: TestServer, examples: number): Promise<(operation: Operation) => Known> {
  const make = async (path: string, body: unknown) => {
    const answer = await server.post(path, body);
    if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${answer.text}`);
    return answer.json;
  };
  const sample: string = (await make('/physical_samples/', { name: 'GaN-001' })).id;
  const project: string = (await make('/projects/', { name: 'GaN 2026' })).id;
  const tag: string = (await make('/tags/', { name: 'growth' })).id;
  const instrument = async (): Promise<number> =>
    (await make('/instruments/synthesis', { label: 'Main MBE', type: 'mbe' })).synth_source_id;
  const stream = async (links: object = {}): Promise<string> => {
    const { data_id } = await make('/metrology/stream/initialize', { points_per_chunk: 3, ...links });
    // Twice, so that there is a revision.
    for (const values of [
      [0, 5.2, null],
      [-0, 5e-324, null],
    ]) {
      const channels = {
        thickness: { timestamps: chunkTimes, values, units: 'nm' },
        µ: { timestamps: [null, 5e-324, 1.7e308], values },
      };
      await make('/metrology/stream/chunk/multi', { data_id, chunk_index: 0, channels });
    }
    return data_id;
  };
  const times = async <Thing>(count: number, one: () => Promise<Thing>) => {
    const things: Thing[] = [];
    while (things.length < count) things.push(await one());
    return things;
  };
  const read = await stream({ physical_sample_id: sample, project_id: project });
  // What is made up goes elsewhere, so that reading does not become slower and slower.
  const written = await times(writtenCount, stream);
  // What is deleted is needed by nobody else; what is restored is among it.
  const doomed = await times(4 + Math.ceil(examples / 10), stream);
  let projectsMade = 0;
  const doomedProject = async (): Promise<string> =>
    (await make('/projects/', { name: `given up ${projectsMade++}` })).id;
  const doomedProjects = await times(4 + Math.ceil(examples / 10), doomedProject);
  const doomedInstruments = await times(4 + Math.ceil(examples / 4), instrument);
  const kept = await instrument();
  const newKey = () => make('/keys/', { user_name: 'colleague', scopes: ['read'] });
  const { user_id: colleague } = await newKey();
  // Revoked and replaced ones stay what they are, and none of them is a key that requests come with.
  const doomedKeys = await times(4, async (): Promise<string> => String((await newKey()).key_id));

  return ({ name }) => {
    const streamIds = idsOf(name, { read, written, doomed });
    return {
      data_id: streamIds,
      data_ids: streamIds,
      physical_sample_id: fc.constant(sample),
      physical_sample_ids: fc.constant(sample),
      project_id: name === 'DELETE /projects/{project_id}' ? fc.constantFrom(...doomedProjects) : fc.constant(project),
      project_ids: fc.constant(project),
      tag_ids: fc.constant(tag),
      synth_source_id: fc.constant(kept),
      key_id: fc.constantFrom(...doomedKeys),
      user_id: fc.constant(colleague),
      growth_instrument_id: fc.constant(kept),
      synthesis_instrument_ids: fc.constantFrom(...doomedInstruments),
      // Mostly not, so that something is left to restore.
      permanent: fc.nat({ max: 9 }).map((nat) => nat === 9),
      channel: fc.constantFrom('thickness', 'µ'),
      channel_name: fc.constantFrom('thickness', 'µ'),
      channel_names: fc.constantFrom('thickness', 'µ'),
      property_names: fc.constantFrom('thickness', 'µ', 'none'),
      chunk_index: /revisions|restore/.test(name) ? fc.constant(0) : fc.nat({ max: 40 }),
      from_chunk: fc.nat({ max: 2 }),
      to_chunk: fc.nat({ max: 2 }),
      revision: name.includes('{revision}') ? fc.constant('1') : fc.constant(1),
      api_key: fc.constant(server.keys.ada),
      keywords: fc.constantFrom('GaN', 'nm', ''),
      start: fc.constantFrom('2024-01-15T08:00:00Z', '1705312200'),
      end: fc.constantFrom('1705315800.5', '2024-01-15T11:00:00Z'),
      ...Object.fromEntries(datetimeNames.map((field) => [field, fc.constantFrom(...dates)])),
    };
  };
}

const datetimeNames = ['upload_datetime', 'last_updated', 'last_accessed_datetime'].flatMap((field) => [
  `${field}_min`,
  `${field}_max`,
]);

function idsOf(name: string, { read, written, doomed }: { read: string; written: string[]; doomed: string[] }) {
  if (name === 'DELETE /data_entries/' || name === 'POST /data_entries/restore') return fc.constantFrom(...doomed);
  if (/(chunk|multi|finalize)$/.test(name)) return fc.constantFrom(...written);
  return fc.oneof({ arbitrary: fc.constant(read), weight: 9 }, { arbitrary: fc.constantFrom(...written), weight: 1 });
}
