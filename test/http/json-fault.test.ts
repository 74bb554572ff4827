import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({}, { streams: { loopBodyBytesMax: 4_096 } });
});
afterAll(() => server?.close());

const chunkOf = (values: string) =>
  `{"data_id":"x","chunk_index":0,"channel_name":"p","timestamps":[1,2],"values":${values}}`;

test.each([
  ['[1,NaN]', 'NaN at position 81, in values[1]; JSON has no such number: send null where there is no reading'],
  ['[NaN]', 'NaN at position 79, in values[0]; JSON has no'],
  ['[1, -Infinity]', '-Infinity at position 82, in values[1]; JSON has no'],
  ['[+inf]', '+inf at position 79, in values[0]; JSON has no'],
  ['[None]', 'None at position 79, in values[0]; what is absent is written null'],
  ['[undefined]', 'undefined at position 79, in values[0]; what is absent is written null'],
  ['[True]', 'True at position 79, in values[0]; truth is written true or false'],
  ["['a']", "' at position 79, in values[0]; names and texts stand in double quotes"],
  ['[.5]', '. at position 79, in values[0]; a number is written like'],
  ['[1.]', 'at position 80, in values[0]: a comma, a colon or a closing bracket is missing'],
  ['[1,]', 'at position 81, in values[1]: nothing follows a comma'],
  ['[1 2]', 'at position 81, in values[0]: a comma, a colon or a closing bracket is missing'],
  ['[1', 'at position 80, in values[0]: a comma, a colon or a closing bracket is missing'],
  ['"a\u0001"', 'the text that begins at position 78, in values has a wrong escape'],
])('values that are %s: what is wrong, where, and what to send instead', async (values, sentence) => {
  const { status, json } = await server.post('/metrology/stream/chunk', chunkOf(values));
  expect([status, json]).toEqual([400, { detail: expect.stringContaining(`The body is not valid JSON`) }]);
  expect(json.detail).toContain(sentence);
});

test.each([
  ['{"name":"a"', 'it ends too early, at position 11'],
  ['{"name":', 'it ends too early, at position 8, in name'],
  ['{name:"a"}', 'at position 1: a name in double quotes must stand there'],
  ["{'name':1}", "' at position 1; names and texts stand in double quotes"],
  ['{"name":"a",}', 'at position 12: nothing follows a comma'],
  ['{"name" "a"}', 'at position 8, in name: a comma, a colon'],
  ['{"name":"a"}{}', 'at position 12: one value is all'],
  ['name=a', 'at position 0: a value must stand there'],
  ['// a\n{}', '// at position 0; JSON has no comments'],
])('%s', async (body, sentence) => {
  const { status, json } = await server.post('/tags/', body);
  expect([status, json]).toEqual([400, { detail: expect.stringContaining(sentence) }]);
});

test('of a large body, which a thread reads, the same is said, by channel', async () => {
  const many = Array.from({ length: 2_000 }, () => '1.5').join();
  const body = `{"data_id":"x","chunk_index":0,"channels":{"p/q":{"timestamps":[${many}],"values":[${many},NaN]}}}`;
  const { status, json } = await server.post('/metrology/stream/chunk/multi', body);
  expect([status, json.detail]).toEqual([400, expect.stringContaining('in channels.p/q.values[2000]; JSON has no')]);
});

test('a long name is cut', async () => {
  const { json } = await server.post('/tags/', `{"${'x'.repeat(10_000)}":NaN}`);
  expect(json.detail.length).toBeLessThan(400);
});
