/** The Python that the page gives to paste, with the pandas that the SDK brings. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { snippetsOf } from '../../src/page/run/snippets.ts';
import { buildWhenStale } from './support/build.ts';
import { installReleases } from './support/python-environment.ts';
import { runToEnd } from './support/run-to-end.ts';
import { type ServerProcess, startServer } from './support/server-process.ts';

const start = Date.UTC(2026, 0, 31, 8);
const channels = ['thickness', `it's "so" \\ $HOME %41&x=1 🔬`];
let server: ServerProcess;
let python: string;
let dataId: string;

beforeAll(async () => {
  await buildWhenStale();
  const [started, [newest]] = await Promise.all([startServer({}), installReleases(() => false)]);
  server = started;
  if (newest?.installed === undefined) throw new Error(newest?.failure);
  python = newest.installed.python;
  dataId = (await post('/metrology/stream/initialize', { points_per_chunk: 10 })).data_id as string;
  const timestamps = Array.from({ length: 10 }, (_, i) => start / 1_000 + i);
  for (const [k, channel_name] of channels.entries()) {
    const values = timestamps.map((_, i) => (i === 3 ? null : i + 100 * k));
    await post('/metrology/stream/chunk', { data_id: dataId, chunk_index: 0, channel_name, timestamps, values });
  }
}, 600_000);
afterAll(() => server?.stop());

async function post(path: string, body: object): Promise<Record<string, unknown>> {
  const answer = await fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'x-api-key': server.apiKey, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(answer.ok, `${path}: ${answer.status}`).toBe(true);
  return (await answer.json()) as Record<string, unknown>;
}

test.each([
  ['all of the run', undefined, [9, 9]],
  ['a window', { fromMs: start + 2_000, toMs: start + 5_000 }, [3, 3]],
])('Python reads %s', async (_what, window, counts) => {
  const [snippet] = snippetsOf({ endpoint: server.url, dataId, channels, window });
  const script = `${snippet?.text}\nprint("COUNTS", json.dumps([[name, int(series.count())] for name, series in run.items()]))\n`;
  const said = await runToEnd(python, ['-c', script], {
    msMax: 60_000,
    env: { ...process.env, AS_API_KEY: server.apiKey },
  });
  const found = Object.fromEntries(JSON.parse(/^COUNTS (.*)$/m.exec(said)?.[1] as string));
  expect(channels.map((name) => found[name])).toEqual(counts);
});
