import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream, storeChunk } from '../timeseries/support/storing.ts';

/*
 * tools/verify_certificate.py on every shape that an export has, and on files that are none: it works, or says in a sentence
 * what to do. Parquet with pyarrow is in suite.ts; what it computes, in test/sdk/reading.suite.ts.
 */

let server: TestServer;
let folder: string;
let certificate: string;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  folder = await mkdtemp(join(tmpdir(), 'metrology-certificate-'));
  dataId = await openStream(server, 2);
  await storeChunk(server, dataId, 'rate', { chunk_index: 0, timestamps: [1, 2], values: [0.1, 0.2] }, 'nm/s');
  await storeChunk(server, dataId, 'thickness', { chunk_index: 0, timestamps: [1, 2], values: [1, 2] }, 'nm');
  certificate = join(folder, 'certificate.json');
  await writeFile(certificate, (await server.get(`/metrology/stream/${dataId}/certificate`)).text);
});
afterAll(async () => {
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

interface Verdict {
  status: number;
  stdout: string;
  stderr: string;
}

async function verify(bytes: string | Buffer, name = 'export.csv', certified = certificate): Promise<Verdict> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return run(certified, path);
}

/** Without the packages that somebody may have installed beside Python. */
const run = (...args: string[]) =>
  new Promise<Verdict>((resolve) =>
    execFile('python3', ['-I', '-S', 'tools/verify_certificate.py', ...args], (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
    ),
  );

async function exported(query: string): Promise<Buffer> {
  const { statusCode, rawPayload } = await server.app.inject({
    url: `/exports/${query}`,
    headers: { 'x-api-key': server.keys.ada },
  });
  expect([query, statusCode]).toEqual([query, 200]);
  return rawPayload;
}

test.each([
  ['of the stream', (id: string) => id],
  ['with a byte order mark', (id: string) => `${id}?bom=true`],
  ['of a selection', (id: string) => `?data_ids=${id}`],
  ['of a selection, with a byte order mark', (id: string) => `?data_ids=${id}&bom=true`],
])('the long layout, %s, is as certified, whatever the file is called', async (_what, queryOf) => {
  for (const name of ['export.csv', 'export', 'export.parquet']) {
    expect(await verify(await exported(queryOf(dataId)), name)).toMatchObject({ status: 0, stderr: '' });
  }
});

test('a channel that skips chunks by habit, and lost one, is as certified', async () => {
  const id = await openStream(server, 1);
  const store = (name: string, chunk_index: number) =>
    storeChunk(server, id, name, { chunk_index, timestamps: [chunk_index], values: [chunk_index / 3] });
  for (let chunk_index = 0; chunk_index < 100; chunk_index++) {
    if (chunk_index !== 42) await store('fast', chunk_index);
    if (chunk_index % 10 === 0 && chunk_index !== 50) await store('slow', chunk_index);
  }
  const path = join(folder, 'skipped.json');
  const { text, json } = await server.get(`/metrology/stream/${id}/certificate`);
  await writeFile(path, text);
  // Otherwise this shows nothing.
  const counts = json.channels.map((one: Counts) => [one.channel_name, one.missing_count, one.skipped_count]);
  expect(counts).toEqual([
    ['fast', 1, 0],
    ['slow', expect.any(Number), expect.any(Number)],
  ]);
  const [, [, missing, skipped]] = counts;
  expect(skipped).toBeGreaterThan(50);
  expect(missing + skipped).toBe(91 - 9);
  const whole = await exported(id);
  expect(await verify(whole, 'skipped.csv', path)).toMatchObject({ status: 0, stderr: '' });
  // A skipped chunk is none that may be lacking from the export.
  const without = whole.toString().replace(/^slow,30,.*\n/m, '');
  expect(await verify(without, 'skipped.csv', path)).toMatchObject({ status: 1 });
});

interface Counts {
  channel_name: string;
  missing_count: number;
  skipped_count: number;
}

test('an export of some channels lacks the others', async () => {
  const { status, stdout } = await verify(await exported(`${dataId}?channel_names=rate`));
  expect([status, stdout]).toEqual([1, expect.stringContaining("'thickness' is not in the export")]);
});

const sentence = (file: string, rest: RegExp) => new RegExp(`^\\S*/${file} ${rest.source}\\n$`);

describe('what it cannot check it says in a sentence, and ends with 2', () => {
  test.each([
    ['of the stream', (id: string) => `${id}?layout=wide`],
    ['with units in its headers', (id: string) => `${id}?layout=wide&units_in_headers=true&bom=true`],
    ['of a selection', (id: string) => `?data_ids=${id}&layout=wide`],
  ])('the wide layout, %s', async (_what, queryOf) => {
    const { status, stderr } = await verify(await exported(queryOf(dataId)));
    expect(stderr).toMatch(sentence('export.csv', /is an export in the wide layout, .* with layout=long\./));
    expect(status).toBe(2);
  });

  test.each(['long', 'wide'])('Parquet where pyarrow is missing, in the %s layout', async (layout) => {
    const { status, stderr } = await verify(await exported(`${dataId}?layout=${layout}&format=parquet`), 'export.bin');
    expect(stderr).toMatch(sentence('export.bin', /is Parquet, which takes pyarrow: .*/));
    expect(status).toBe(2);
  });

  test.each([
    ['nothing', '', /is no export of a stream: it lacks channel_name, .*/],
    ['another table', 'a,b\n1,2\n', /is no export of a stream: it lacks channel_name, .*/],
    ['a spreadsheet', 'PK\u0003\u0004…', /is a spreadsheet or a compressed file\. .*/],
    [
      'text that is no number',
      'channel_name,chunk_index,timestamp,value,units\nrate,0,x,1,\n',
      /cannot be checked .*'x'/,
    ],
    ['half a row', 'channel_name,chunk_index,timestamp,value,units\nrate,0,1', /breaks off in line 2\./],
  ])('%s', async (_what, text, rest) => {
    const { status, stderr } = await verify(text);
    expect(stderr).toMatch(sentence('export.csv', rest));
    expect(status).toBe(2);
  });

  test('bytes that are no text, and a file that is not there', async () => {
    const { status, stderr } = await verify(Buffer.from([0x63, 0xff, 0xfe, 0x0a]));
    expect([status, stderr]).toEqual([2, expect.stringMatching(sentence('export.csv', /cannot be checked .*utf-8.*/))]);
    const missing = await run(certificate, join(folder, 'nowhere.csv'));
    expect(missing).toMatchObject({ status: 2, stderr: expect.stringContaining('No such file') });
  });

  test.each(['', '[]', '{}', '{"channels":[1]}', '{"root_hash":"","data_id":"","channels":[{}]}'])(
    'a certificate that is none: %s',
    async (text) => {
      const path = join(folder, 'none.json');
      await writeFile(path, text);
      const { status, stderr } = await verify(await exported(dataId), 'export.csv', path);
      expect(stderr).toMatch(sentence('none.json', /is no certificate: .*/));
      expect(status).toBe(2);
    },
  );
});
