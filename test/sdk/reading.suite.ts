/** The Python of docs/reading.md and the script that checks certificates, with Python's standard library alone. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildWhenStale } from './support/build.ts';
import { projectFolder } from './support/places.ts';
import { runToEnd } from './support/run-to-end.ts';
import { type ServerProcess, startServer } from './support/server-process.ts';

const python = process.env.PYTHON ?? 'python3';
let server: ServerProcess;
let folder: string;

beforeAll(async () => {
  await buildWhenStale();
  [server, folder] = await Promise.all([startServer({}), mkdtemp(join(tmpdir(), 'metrology-reading-'))]);
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function call(path: string, body?: object | string): Promise<Response> {
  const answer = await fetch(`${server.url}${path}`, {
    headers: { 'x-api-key': server.apiKey, 'content-type': 'application/json' },
    ...(body && { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  expect(answer.ok, `${path}: ${answer.status}`).toBe(true);
  return answer;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
const get = async (path: string): Promise<any> => (await call(path)).json();

async function openStream(): Promise<string> {
  const opened = await call('/metrology/stream/initialize', { points_per_chunk: 2 });
  return ((await opened.json()) as { data_id: string }).data_id;
}

async function outcomes(): Promise<Record<string, number>> {
  const text = await (await call('/metrics')).text();
  const lines = text.matchAll(/^metrology_chunks_total\{[^}]*outcome="(\w+)"[^}]*\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, outcome, count]) => [outcome, Number(count)]));
}

test('the loop of the docs sends what is not stored, and nothing else', async () => {
  const docs = await readFile(join(projectFolder, 'docs/reading.md'), 'utf8');
  const loop = /### What to send again.*?```python\n(.*?)```/s.exec(docs)?.[1] as string;
  const data_id = await openStream();
  const bodies = ['thickness', 'a "second" channel'].flatMap((channel_name) =>
    Array.from({ length: 12 }, (_, chunk_index) => {
      const timestamps = [2 * chunk_index, 2 * chunk_index + 1];
      return { data_id, channel_name, chunk_index, timestamps, values: [chunk_index / 3, null], units: 'nm' };
    }),
  );
  for (const i of [0, 1, 2, 5, 6, 9]) await call('/metrology/stream/chunk', bodies[i]);
  await writeFile(join(folder, 'run.jsonl'), bodies.map((body) => `${JSON.stringify(body)}\n`).join(''));
  const env = { ...process.env, AS_API_ENDPOINT: server.url, AS_API_KEY: server.apiKey };
  for (const _ of ['the first time', 'once more']) {
    await runToEnd(python, ['-c', loop], { msMax: 60_000, cwd: folder, env });
    expect(await outcomes()).toEqual({ created: bodies.length });
  }
  const { channels } = await get(`/metrology/stream/${data_id}/chunks`);
  expect(channels).toMatchObject([
    { channel_name: 'a "second" channel', present: [[0, 11]], missing: [] },
    { channel_name: 'thickness', present: [[0, 11]], missing: [] },
  ]);
});

describe('tools/verify_certificate.py', () => {
  const lines = (text: string) => text.trimEnd().split('\n');
  let dataId: string;
  let certificate: string;
  let csv: string;

  beforeAll(async () => {
    dataId = await openStream();
    // By UTF-16 the last two would change places.
    const names = ['a', 'a, "quoted"\nname', 'µ-rate', '\uffe6', '𝜈'];
    for (const [i, name] of names.entries()) {
      const address = `"data_id":"${dataId}","channel_name":${JSON.stringify(name)}`;
      const readings =
        '"timestamps":[1705312200.1234567,null,1e300,-0.0],"values":[-0.0,5e-324,null,1.7976931348623157e308]';
      await call('/metrology/stream/chunk', `{${address},"chunk_index":0,${readings},"units":"Å"}`);
      await call('/metrology/stream/chunk', `{${address},"chunk_index":${i + 3},"timestamps":[1],"values":[0.${i}]}`);
    }
    certificate = await (await call(`/metrology/stream/${dataId}/certificate`)).text();
    csv = await (await call(`/exports/${dataId}/?layout=long&format=csv`)).text();
  });

  /** Runs it on a certificate and an export; says how it ended, and what it printed. */
  async function verify(certificateText: string, exported: string) {
    await writeFile(join(folder, 'certificate.json'), certificateText);
    await writeFile(join(folder, 'export.csv'), exported);
    const args = [join(projectFolder, 'tools/verify_certificate.py'), 'certificate.json', 'export.csv'];
    const { status, stdout, stderr } = spawnSync(python, args, { cwd: folder, encoding: 'utf8' });
    return { status, said: lines(stdout), stderr };
  }

  test('computes the root anew from an export', async () => {
    const { status, said, stderr } = await verify(certificate, csv);
    const { root_hash } = JSON.parse(certificate);
    expect({ status, said, stderr }).toEqual({
      status: 0,
      said: [`5 channels, 10 chunks, 25 points: as certified, root ${root_hash}`],
      stderr: '',
    });
  });

  test('takes its stream out of an export of several', async () => {
    const other = await openStream();
    await call('/metrology/stream/chunk', {
      ...{ data_id: other, channel_name: 'a', chunk_index: 0 },
      ...{ timestamps: [1], values: [1] },
    });
    const several = await (await call(`/exports/?layout=long&format=csv&data_ids=${other}&data_ids=${dataId}`)).text();
    expect(lines(several)).toHaveLength(lines(csv).length + 1);
    expect(await verify(certificate, several)).toMatchObject({ status: 0 });
  });

  test.each([
    [
      'a changed reading',
      (text: string) => text.replace(',0.2,', ',0.20000000000000004,'),
      ['channel_hash', 'root_hash'],
    ],
    ['the sign of a zero', (text: string) => text.replace(',-0.0,', ',0.0,'), ['channel_hash', 'root_hash']],
    ['a unit', (text: string) => text.replaceAll('Å', 'A'), ['channel_hash', 'root_hash']],
    ['a lost row', (text: string) => text.replace(/\n𝜈,7,.*\n/, '\n'), ['missing_count', 'chunk_count', 'root_hash']],
    ['a lost channel', (text: string) => text.replaceAll(/𝜈,.*\n/g, ''), ["'𝜈' is not in the export", 'root_hash']],
  ])('finds %s', async (_what, change, named) => {
    const changed = change(csv);
    expect(changed).not.toBe(csv);
    const { status, said } = await verify(certificate, changed);
    expect(status).toBe(1);
    for (const one of named) expect(said.join('\n')).toContain(one);
    expect(said.at(-1)).toContain('NOT what is certified');
  });

  test('finds a count in the certificate that is not true', async () => {
    const changed = certificate.replace('"missing_count":2', '"missing_count":0');
    expect(changed).not.toBe(certificate);
    expect(await verify(changed, csv)).toMatchObject({ status: 1 });
  });

  test('says that it cannot read what is no such export', async () => {
    const [head = '', first = '', ...others] = lines(csv);
    for (const text of ['time,a\n1,2\n', [head, ...others, first].join('\n')]) {
      const { status, stderr } = await verify(certificate, text);
      expect(status).toBe(2);
      expect(stderr).toMatch(
        /^export\.csv is no export of a stream: |^Chunk 0 of 'a' comes after|^'a' stands in two places/,
      );
    }
  });
});
