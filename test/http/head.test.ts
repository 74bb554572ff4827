import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BindOrganization } from '../../src/database/organizations.ts';
import { openStream } from '../ledger/support/storing.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

/* HEAD over a socket, where the client knows from the head alone where the answer ends. */

let server: TestServer;
let listening: ListeningApp;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  listening = await startListeningApp(server.database);
  dataId = await openStream(server, 1_000);
  const values = Array.from({ length: 1_000 }, (_, i) => i);
  for (let chunk_index = 0; chunk_index < 20; chunk_index++) {
    const timestamps = values.map((i) => 1_700_000_000 + chunk_index * 1_000 + i);
    const chunk = { data_id: dataId, channel_name: 'p', chunk_index, timestamps, values };
    expect((await server.post('/metrology/stream/chunk', chunk)).status).toBe(201);
  }
});
afterAll(async () => {
  await listening?.close();
  await server?.close();
});

test('answers of every size go out without a body, and the connection serves the next request', async () => {
  const connection = await openConnection(listening.port);
  const paths = ['/healthz', `/exports/${dataId}`, `/tool-state/${dataId}/timeseries/`, '/data_entries/', '/nowhere'];
  for (const path of [...paths, ...paths]) {
    await connection.send(`HEAD ${path} HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${server.keys.ada}\r\n\r\n`);
    // What comes after the head belongs to the next answer: with a body this one would be no HTTP.
    const head = await new Promise<string>((resolve) => {
      let text = '';
      const read = (data: Buffer) => {
        text += data.toString('latin1');
        if (!text.includes('\r\n\r\n')) return;
        connection.socket.off('data', read);
        resolve(text);
      };
      connection.socket.on('data', read);
    });
    expect([path, head.split('\r\n')[0]]).toEqual([
      path,
      path === '/nowhere' ? 'HTTP/1.1 404 Not Found' : 'HTTP/1.1 200 OK',
    ]);
    expect(head.endsWith('\r\n\r\n')).toBe(true);
    expect(head).not.toMatch(/^content-length: 0\r?$/im);
  }
  connection.socket.destroy();
});

test('what would be streamed is not read to its end', async () => {
  let asked = 0;
  const counted =
    (bind: BindOrganization): BindOrganization =>
    (...of) => {
      const own = bind(...of);
      const query = (...statement: Parameters<typeof own.pool.query>) => {
        asked++;
        return own.pool.query(...statement);
      };
      const connect = () => {
        asked++;
        return own.pool.connect();
      };
      return { ...own, pool: { connect, query: query as typeof own.pool.query } };
    };
  const counting = await joinTestServer(
    server,
    {},
    (database) => ({ ...database, as: counted(database.as), readingAs: counted(database.readingAs) }),
    { points: { pagePointsMax: 1_000 } },
  );
  const countOf = async (method: string, url: string) => {
    asked = 0;
    expect((await counting.send(method, url)).status).toBe(200);
    return asked;
  };
  try {
    for (const url of [
      `/tool-state/${dataId}/timeseries/`,
      `/metrology/${dataId}/points/?channel=p`,
      `/exports/${dataId}`,
      `/exports/${dataId}?format=parquet`,
      `/exports/${dataId}?format=parquet&layout=wide`,
      `/exports/${dataId}?format=xlsx`,
    ]) {
      const [head, get] = [await countOf('HEAD', url), await countOf('GET', url)];
      expect(get, url).toBeGreaterThan(20);
      expect(head, url).toBeLessThan(16);
    }
  } finally {
    await counting.close();
  }
});
