import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/* One sample, project or tag per name, however it is spelled; and those that older releases told apart go on. */

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

const make = async (path: string, name: string, key?: string) => {
  const answer = await server.post(path, { name }, key);
  expect(answer.status, answer.text).toBeLessThan(300);
  return answer.json.id as string;
};

describe.each([
  ['/physical_samples/', 'physical_samples', 'physical_sample_id'],
  ['/projects/', 'projects', 'project_id'],
  ['/tags/', 'tags', 'tag_id'],
])('%s', (path, table, key) => {
  /** As an older release has made it. */
  const store = async (name: string, secondsAgo: number) => {
    const { rows } = await server.owner.pool.query(
      `insert into ${table} (organization_id, user_id, name, created_at)
       select organization_id, user_id, $1::text, now() - make_interval(secs => $2::float8) from users where name = 'ada'
       returning ${key} as id`,
      [name, secondsAgo],
    );
    return rows[0].id as string;
  };

  test.each([
    ['composed and decomposed', 'Größe Å', 'Größe Å'.normalize('NFD')],
    ['micro sign and mu', '5 \u00b5m', '5 \u03bcm'],
    ['angstrom sign', '\u212b 7', 'å 7'],
    ['case beyond ASCII', 'ПРОБА Ø', 'проба ø'],
    ['sharp s', 'Maß', 'MASS'],
    ['full width and a hard space', 'ＧａＮ\u00a01', 'gan 1'],
    ['Turkish, whatever the collation', 'ID', 'id'],
  ])('finds what exists under another spelling, and takes no other for it: %s', async (_, one, other) => {
    const first = await make(path, one);
    expect(await make(path, ` ${other} `)).toBe(first);
    expect(await make(path, one.normalize('NFD'))).toBe(first);
    expect(await make(path, other, server.keys.rival)).not.toBe(first);
    expect(await make(path, `${other}2`)).not.toBe(first);
  });

  test('makes one for 20 who spell it in four ways at once', async () => {
    const spellings = ['Ångström', 'Ångström'.normalize('NFD'), 'ÅNGSTRÖM', '\u212bngström'];
    const ids = await Promise.all(Array.from({ length: 20 }, (_, i) => make(path, spellings[i % 4] as string)));
    expect(new Set(ids).size).toBe(1);
  });

  test('names that an older release told apart are found each by its own spelling, the oldest by any other', async () => {
    const composed = await store('Würfel', 10);
    const decomposed = await store('Würfel'.normalize('NFD'), 20);
    expect(await make(path, 'Würfel')).toBe(composed);
    expect(await make(path, 'Würfel'.normalize('NFD'))).toBe(decomposed);
    expect(await make(path, 'WÜRFEL'.normalize('NFD').replace('L', 'ｌ'))).toBe(decomposed);
    const { json } = await server.get(path);
    expect(json.map((row: { id: string }) => row.id)).toEqual(expect.arrayContaining([composed, decomposed]));
  });
});

test('a sample cannot take a name that folds to that of another one; its own it can spell as it likes', async () => {
  const change = (id: string, body: object) => server.send('PATCH', `/physical_samples/${id}`, body);
  const [first, second] = [await make('/physical_samples/', 'Süd'), await make('/physical_samples/', 'Nord')];
  const taken = await change(second, { name: 'Süd'.normalize('NFD') });
  expect([taken.status, taken.json.detail]).toEqual([
    409,
    expect.stringContaining('Another physical sample is called'),
  ]);
  expect((await change(first, { name: 'SÜD'.normalize('NFD') })).json).toMatchObject({ id: first, version: 2 });
  expect((await change(second, { name: 'West' })).status).toBe(200);
  // Two that collide already can still be changed.
  const { rows } = await server.owner.pool.query(
    `update physical_samples set name = $2::text where physical_sample_id = $1::uuid returning physical_sample_id as id`,
    [second, 'Süd'],
  );
  expect((await change(rows[0].id, { name: 'Süd ', sample_id: 7 })).json).toMatchObject({ name: 'Süd', sample_id: 7 });
});
