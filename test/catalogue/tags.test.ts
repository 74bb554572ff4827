import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests look into rows of every shape.
type Row = any;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const createTag = async (name: string, key?: string) => {
  const answer = await server.post('/tags/', { name }, key);
  expect(answer.status, answer.text).toBe(201);
  return answer.json.id as string;
};
const createStream = async (key?: string) => {
  const answer = await server.post('/tool-state/stream/initialize', { stream_name: 'run', points_per_chunk: 10 }, key);
  expect(answer.status, answer.text).toBe(200);
  return answer.json.data_id as string;
};
const tagsOf = async (dataId: string, key?: string) =>
  (await server.get(`/data_entries/?data_ids=${dataId}`, key)).json[0].tags;
const link = (data_ids: unknown, tag_ids: unknown, key?: string) =>
  server.post('/tags/data-items/', { data_ids, tag_ids }, key);

test('creates a tag and lists it under the keys that the SDK reads', async () => {
  const created = await server.post('//tags/', { name: '  instrument:filmsense_fs1\n' });
  expect(created.status).toBe(201);
  expect(created.json).toEqual({
    id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    name: 'instrument:filmsense_fs1',
    created_datetime: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
  });
  expect((await server.get('//tags//')).json).toContainEqual(created.json);
});

test('answers the tag that exists, whatever its case and the space around it', async () => {
  const first = await server.post('/tags/', { name: 'Growth Ä' });
  const second = await server.post('/tags/', { name: ' GROWTH Ä ' });
  expect([first.status, second.status]).toEqual([201, 200]);
  expect(second.json).toEqual(first.json);
});

test('creates one tag for 20 that create it at once', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => server.post('/tags/', { name: i % 2 ? 'race' : 'RACE' })),
  );
  expect(answers.map((answer) => answer.status).sort()).toEqual([...Array(19).fill(200), 201]);
  expect(new Set(answers.map((answer) => answer.json.id)).size).toBe(1);
  expect((await server.get('/tags/')).json.filter((tag: Row) => /^race$/i.test(tag.name))).toHaveLength(1);
});

test('keeps a tag name for each organization', async () => {
  const ours = await createTag('shared name');
  const theirs = await createTag('shared name', server.keys.rival);
  expect(theirs).not.toBe(ours);
  for (const [key, id] of [
    [server.keys.ada, ours],
    [server.keys.rival, theirs],
  ]) {
    expect((await server.post('/tags/', { name: 'shared name' }, key)).json.id).toBe(id);
  }
  const listed = (await server.get('/tags/', server.keys.rival)).json.map((tag: Row) => tag.id);
  expect(listed).toContain(theirs);
  expect(listed).not.toContain(ours);
  expect((await server.get('/tags/', server.keys.grace)).json.map((tag: Row) => tag.id)).toContain(ours);
});

test.each([
  ['no name', {}],
  ['a null name', { name: null }],
  ['a number', { name: 100 }],
  ['an empty name', { name: '' }],
  ['a blank name', { name: '\t \u00a0' }],
  ['U+0000', { name: 'a\0' }],
  ['a lone surrogate', '{"name":"\\ud800"}'],
  ['over 1,000 characters', { name: 'x'.repeat(1_001) }],
])('refuses %s', async (_what, body) => {
  const before = (await server.get('/tags/')).json.length;
  const answer = await server.post('/tags/', body);
  expect(answer.status, answer.text).toBe(422);
  expect(answer.json.detail[0].loc).toEqual(['body', 'name']);
  expect((await server.get('/tags/')).json).toHaveLength(before);
});

test('takes names of digits, signs and emoji, up to 1,000 characters', async () => {
  for (const name of ['100', "model:a/b %_'", '__proto__', '🔬', 'ж'.repeat(255)]) {
    const id = await createTag(name);
    expect((await server.get('/tags/')).json).toContainEqual(expect.objectContaining({ id, name }));
  }
});

test('puts every tag on every data entry and counts what is new', async () => {
  const streams = [await createStream(), await createStream()] as const;
  const tags = [await createTag('b-second'), await createTag('A-first')] as const;
  expect((await link([streams[0]], [tags[0]])).json).toEqual({ success: true, associations_created: 1 });
  const all = await link([...streams, streams[0].toUpperCase()], [...tags, tags[1]]);
  expect([all.status, all.json]).toEqual([200, { success: true, associations_created: 3 }]);
  expect((await link([...streams], [...tags])).json).toEqual({ success: true, associations_created: 0 });
  for (const stream of streams) expect(await tagsOf(stream)).toEqual(['A-first', 'b-second']);
});

test('links once when the same links come 20 times at once, in either order', async () => {
  const streams = await Promise.all(Array.from({ length: 5 }, () => createStream()));
  const tags = await Promise.all(Array.from({ length: 5 }, (_, i) => createTag(`at once ${i}`)));
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => (i % 2 ? link(streams, tags) : link(streams.toReversed(), tags.toReversed()))),
  );
  expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(200));
  expect(answers.reduce((sum, answer) => sum + answer.json.associations_created, 0)).toBe(25);
});

test('stores nothing when one id is unknown or foreign, and answers both alike', async () => {
  const stream = await createStream();
  const tag = await createTag('lonely');
  const unknown = randomUUID();
  const foreignStream = await createStream(server.keys.rival);
  const foreignTag = await createTag('theirs', server.keys.rival);
  const answers = {
    unknownStream: await link([stream, unknown], [tag]),
    foreignStream: await link([stream, foreignStream], [tag]),
    unknownTag: await link([stream], [tag, unknown]),
    foreignTag: await link([stream], [tag, foreignTag]),
  };
  for (const answer of Object.values(answers)) expect(answer.status).toBe(404);
  expect(answers.unknownStream.json.detail).toContain(unknown);
  expect(answers.foreignStream.text.replace(foreignStream, 'ID')).toBe(
    answers.unknownStream.text.replace(unknown, 'ID'),
  );
  expect(answers.foreignTag.text.replace(foreignTag, 'ID')).toBe(answers.unknownTag.text.replace(unknown, 'ID'));
  expect(await tagsOf(stream)).toEqual([]);
  expect(await tagsOf(foreignStream, server.keys.rival)).toEqual([]);
  expect((await link([foreignStream], [foreignTag], server.keys.rival)).json.associations_created).toBe(1);
});

test.each([
  ['no data_ids', { tag_ids: [randomUUID()] }, 'data_ids'],
  ['no tag_ids', { data_ids: [randomUUID()] }, 'tag_ids'],
  ['empty data_ids', { data_ids: [], tag_ids: [randomUUID()] }, 'data_ids'],
  ['empty tag_ids', { data_ids: [randomUUID()], tag_ids: [] }, 'tag_ids'],
  ['a malformed data_id', { data_ids: ['7'], tag_ids: [randomUUID()] }, 'data_ids'],
  ['a malformed tag_id', { data_ids: [randomUUID()], tag_ids: [`${randomUUID()}\n`] }, 'tag_ids'],
  ['a single text', { data_ids: randomUUID(), tag_ids: [randomUUID()] }, 'data_ids'],
  ['over 10,000 ids', { data_ids: Array(10_001).fill(randomUUID()), tag_ids: [randomUUID()] }, 'data_ids'],
])('refuses to link %s', async (_what, body, field) => {
  const answer = await server.post('/tags/data-items/', body);
  expect(answer.status, answer.text).toBe(422);
  expect(answer.json.detail[0].loc.slice(0, 2)).toEqual(['body', field]);
});

const unlink = (data_ids: string[], tag_ids: string[], key?: string) => {
  const pairs = [...data_ids.map((id) => `data_ids=${id}`), ...tag_ids.map((id) => `tag_ids=${id}`)];
  return server.send('DELETE', `/tags/data-items/?${pairs.join('&')}`, undefined, key);
};

test('takes tags off data entries, counts what was there, and changes nothing a second time', async () => {
  const streams = [await createStream(), await createStream()] as const;
  const tags = [await createTag('to stay'), await createTag('to go'), await createTag('also to go')] as const;
  await link([...streams], [tags[0], tags[1]]);
  await link([streams[0]], [tags[2]]);
  const before = (await server.get(`/data_entries/?data_ids=${streams[0]}`)).json[0].last_updated;
  const removed = await unlink([...streams, streams[0].toUpperCase()], [tags[1], tags[2]]);
  expect([removed.status, removed.json]).toEqual([200, { success: true, associations_removed: 3 }]);
  for (const stream of streams) expect(await tagsOf(stream)).toEqual(['to stay']);
  const changed = (await server.get(`/data_entries/?data_ids=${streams[0]}`)).json[0].last_updated;
  expect(changed > before).toBe(true);
  expect((await unlink([...streams], [tags[1]])).json).toEqual({ success: true, associations_removed: 0 });
  expect((await server.get(`/data_entries/?data_ids=${streams[0]}`)).json[0].last_updated).toBe(changed);
  expect((await server.get('/tags/')).json).toContainEqual(expect.objectContaining({ id: tags[1] }));
});

test('takes no tag off when one id is unknown or foreign, and answers both alike', async () => {
  const [stream, foreignStream] = [await createStream(), await createStream(server.keys.rival)];
  const [tag, foreignTag] = [await createTag('kept'), await createTag('kept', server.keys.rival)];
  await link([stream], [tag]);
  await link([foreignStream], [foreignTag], server.keys.rival);
  const unknown = randomUUID();
  const [byUnknown, byForeign] = [await unlink([stream, unknown], [tag]), await unlink([stream, foreignStream], [tag])];
  expect([byUnknown.status, byForeign.status]).toEqual([404, 404]);
  expect(byForeign.text.replace(foreignStream, 'ID')).toBe(byUnknown.text.replace(unknown, 'ID'));
  expect((await unlink([stream], [tag, foreignTag])).status).toBe(404);
  expect(await tagsOf(stream)).toEqual(['kept']);
  expect(await tagsOf(foreignStream, server.keys.rival)).toEqual(['kept']);
});

test('needs a key', async () => {
  expect((await server.get('/tags/', null)).status).toBe(401);
  expect((await server.post('/tags/', { name: 'x' }, null)).status).toBe(401);
  expect((await server.post('/tags/data-items/', {}, null)).status).toBe(401);
  expect((await server.send('DELETE', '/tags/data-items/', undefined, null)).status).toBe(401);
});
