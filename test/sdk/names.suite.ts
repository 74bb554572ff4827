/**
 * The find-or-create of the newest SDK with names that collide: an older release told apart what now counts as one name, and
 * the SDK looks for a name in a list by rules of its own before it asks the server to make it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runningEmbeddedPostgres } from '../../src/database/embedded.ts';
import { buildWhenStale } from './support/build.ts';
import { installReleases } from './support/python-environment.ts';
import { runToEnd } from './support/run-to-end.ts';
import { type ServerProcess, startServer } from './support/server-process.ts';

const setUpMsMax = 600_000;
let server: ServerProcess;
let folder: string;
let python: string;
let owner: Client;

beforeAll(async () => {
  await buildWhenStale();
  const installing = installReleases(() => false);
  [server, folder] = await Promise.all([startServer({}), mkdtemp(join(tmpdir(), 'metrology-names-'))]);
  const [newest] = await installing;
  if (newest?.installed === undefined) throw new Error(newest?.failure ?? 'no release');
  python = newest.installed.python;
  const { DATABASE_URL, DATA_DIR } = server.env;
  owner = new Client({ connectionString: DATABASE_URL ?? (await runningEmbeddedPostgres(DATA_DIR as string)) });
  await owner.connect();
}, setUpMsMax);
afterAll(async () => {
  await owner?.end();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Stored as a release before folding stored it, the later ones of the list younger. @returns the ids */
async function storeEarlier(table: string, key: string, names: string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const [i, name] of names.entries()) {
    const { rows } = await owner.query(
      `insert into ${table} (organization_id, user_id, name, created_at)
       select organization_id, user_id, $1::text, now() - make_interval(secs => $2::float8) from users order by user_id limit 1
       returning ${key} as id`,
      [name, 100 - i],
    );
    ids.push(rows[0].id);
  }
  return ids;
}

interface Named {
  sample: string;
  tags: string[];
}

/** Opens streams by the SDK, one after the other, each under a sample and tags of these names. @returns what the catalogue says of them */
async function initialize(...named: Named[]): Promise<Named[]> {
  const program = `
import json, sys
from atomscale.streaming import TimeseriesStreamer
key, endpoint, named = json.loads(sys.argv[1])
for names in named:
    # Each looks the names up anew.
    streamer = TimeseriesStreamer(api_key=key, endpoint=endpoint, points_per_chunk=1)
    print(streamer.initialize(stream_name="names", physical_sample=names["sample"], tags=names["tags"]))
`;
  const given = JSON.stringify([server.apiKey, server.url, named]);
  const dataIds = (await runToEnd(python, ['-c', program, given], { msMax: 60_000, cwd: folder })).trim().split('\n');
  const { rows } = await owner.query(
    `select physical_sample_id as sample,
       (select array_agg(tag_id::text order by tag_id) from stream_tags t where t.data_id = s.data_id) as tags
     from streams s where data_id = any($1::uuid[]) order by array_position($1::uuid[], data_id)`,
    [dataIds],
  );
  expect(rows).toHaveLength(named.length);
  return rows;
}

/** A sample and a tag of one name. */
const both = (name: string): Named => ({ sample: name, tags: [name] });

const composed = 'Würfel Å'.normalize('NFC');
const decomposed = 'Würfel Å'.normalize('NFD');

test('finds each of those that an older release told apart by its own spelling, and the oldest by any other', async () => {
  const names = [composed, decomposed];
  const samples = await storeEarlier('physical_samples', 'physical_sample_id', names);
  const tags = await storeEarlier('tags', 'tag_id', names);
  const linked = samples.map((sample, i) => ({ sample, tags: [tags[i]] }));
  // The SDK finds the last in neither list, asks for a new one, and is given the one that counts as the same.
  const found = await initialize(both(composed), both(decomposed), both('WÜRFEL Å'));
  expect(found).toEqual([...linked, linked[0]]);
});

test('makes one sample and one tag for spellings that fold to the same, and links both tags once', async () => {
  // The last has two tags for the SDK, and one for the server.
  const [first, ...others] = await initialize(both('5 \u00b5m'), both('5 \u03bcm'), {
    sample: '5 \u039cM',
    tags: ['5 \u00b5m', '5 \u03bcm'],
  });
  expect(first?.tags).toHaveLength(1);
  expect(others).toEqual([first, first]);
});
