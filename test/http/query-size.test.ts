import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { httpLimits } from '../../src/http/limits.ts';
import { createQueryParser } from '../../src/http/query-size.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openConnection, startListeningApp } from './support/listening-app.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

async function ask(path: string, key = server.keys.ada) {
  const { statusCode, payload } = await server.app.inject({ url: path, headers: { 'x-api-key': key } });
  return { status: statusCode, detail: statusCode < 400 ? undefined : JSON.parse(payload).detail };
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `a${i}=1`).join('&');
const { queryNamesMax, queryValuesMax } = httpLimits;

describe('a query with too much', () => {
  test.each([
    ['a search', '/data_entries/?'],
    ['one that knows no parameter', '/tags/?'],
    ['an own route', '/projects/?'],
    ['an open route', '/healthz?'],
  ])('%s: 400 beyond queryNamesMax, and not below', async (_what, path) => {
    const { status, detail } = await ask(path + names(queryNamesMax + 1));
    expect({ status, detail }).toEqual({
      status: 400,
      detail: `The query has more than ${queryNamesMax} different parameters (queryNamesMax).`,
    });
    expect((await ask(path + names(queryNamesMax))).status).not.toBe(400);
  });

  test('values of one parameter are bounded by queryValuesMax', async () => {
    const { status, detail } = await ask(`/data_entries/?${'keywords=x&'.repeat(queryValuesMax)}`);
    expect({ status, detail }).toEqual({
      status: 400,
      detail: `The query has more than ${queryValuesMax} values (queryValuesMax).`,
    });
  });

  test('5,000 ids are no such', async () => {
    const ids = Array.from({ length: 5_000 }, () => `data_ids=${crypto.randomUUID()}`).join('&');
    expect((await ask(`/data_entries/?${ids}`)).status).toBe(200);
  });

  test('without a key it is 401, and on no route 404', async () => {
    expect((await ask(`/tags/?${names(1_000)}`, 'none')).status).toBe(401);
    expect((await ask(`/nothing?${names(1_000)}`)).status).toBe(404);
  });
});

test('nothing but a few names is built of it: 100,000 are told by the first', () => {
  const parse = createQueryParser(httpLimits);
  expect(Object.keys(parse(names(100_000)))).toEqual(['sentence']);
  const many = parse(`${'a=1&'.repeat(5_000)}b=%C3%A9+c&d&=e`) as Record<string, unknown>;
  expect(many).toMatchObject({ b: 'é c', d: '', '': 'e' });
  expect(many.a).toHaveLength(5_000);
});

test('otherBodyStringsMax bounds the strings and names of a body that brings no chunk', async () => {
  const fields = (count: number) => `{"stream_name":"x",${Array.from({ length: count }, (_, i) => `"a${i}":0`)}}`;
  for (const url of ['/tool-state/stream/initialize', '/projects/']) {
    const { statusCode, payload } = await server.app.inject({
      method: 'POST',
      url,
      headers: { 'x-api-key': server.keys.ada, 'content-type': 'application/json' },
      payload: fields(httpLimits.otherBodyStringsMax),
    });
    expect(statusCode).toBe(413);
    expect(JSON.parse(payload).detail).toContain(`${httpLimits.otherBodyStringsMax} strings (otherBodyStringsMax)`);
  }
});

test('a path beyond pathLengthMax is 414, whatever its query; a long query is no long path', async () => {
  const app = await startListeningApp(server.database);
  onTestFinished(() => app.close());
  const statusOf = async (url: string) => {
    const connection = await openConnection(app.port);
    onTestFinished(() => void connection.socket.destroy());
    await connection.send(`GET ${url} HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${server.keys.ada}\r\n\r\n`);
    const { status, body } = await connection.answer();
    return { status, body };
  };
  const long = `/${'a'.repeat(httpLimits.pathLengthMax)}`;
  const { status, body } = await statusOf(`${long}?b=1`);
  expect(status).toBe(414);
  expect(JSON.parse(body).detail).toContain(`${httpLimits.pathLengthMax} characters (pathLengthMax)`);
  expect((await statusOf(long.slice(0, -1))).status).toBe(404);
  expect((await statusOf(`/tags/?${long}`)).status).not.toBe(414);
});
