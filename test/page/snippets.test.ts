import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SnippetTarget, snippetsOf } from '../../src/page/run/snippets.ts';
import { openReaders } from '../sql/support/readers.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/* What is pasted from the page runs, with names that no shell and no SQL should see bare. Python is run by the suite of the SDK. */

const start = Date.UTC(2026, 0, 31, 8);
const channels = ['thickness', `it's "so" \\ $HOME \`id\` %41&x=1 🔬`];

let server: TestServer;
let target: SnippetTarget;
beforeAll(async () => {
  server = await startTestServer();
  const endpoint = await server.app.listen({ host: '127.0.0.1', port: 0 });
  const { data_id } = (await server.post('/metrology/stream/initialize', { points_per_chunk: 10 })).json;
  const timestamps = Array.from({ length: 10 }, (_, i) => start / 1_000 + i);
  for (const [k, channel_name] of [...channels, 'another'].entries()) {
    const values = timestamps.map((_, i) => i + 10 * k);
    await server.post('/metrology/stream/chunk', { data_id, chunk_index: 0, channel_name, timestamps, values });
  }
  target = { endpoint, dataId: data_id, channels, window: undefined };
});
afterAll(() => server?.close());

const textOf = (name: string, window: SnippetTarget['window']) =>
  snippetsOf({ ...target, window }).find((one) => one.name === name)?.text as string;

const window = { fromMs: start + 2_000, toMs: start + 4_000 };

test.each([
  ['all of the run', undefined, 10],
  ['a window', window, 3],
])('curl reads %s', async (_what, shown, count) => {
  const env = { ...process.env, AS_API_KEY: server.keys.ada };
  const { stdout } = await promisify(execFile)(
    'sh',
    ['-c', `curl() { command curl --silent "$@"; }\n${textOf('curl', shown)}`],
    { env },
  );
  const { properties } = JSON.parse(stdout);
  expect(Object.keys(properties).sort()).toEqual(channels.toSorted());
  for (const name of channels) expect(properties[name].values).toHaveLength(count);
});

test.each([
  ['all of the run', undefined, 10],
  ['a window', window, 3],
])('SQL reads %s', async (_what, shown, count) => {
  const { readers, close } = await openReaders(server, ['lab']);
  try {
    const rows = await readers.lab.query(textOf('SQL', shown));
    expect(rows).toHaveLength(count * channels.length);
    expect(new Set(rows.map(({ channel_name }) => channel_name))).toEqual(new Set(channels));
    expect(rows.filter(({ channel_name }) => channel_name === 'thickness').map(({ value }) => value)).toContain(3);
  } finally {
    await close();
  }
});
