import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import pg from 'pg';
import { pino } from 'pino';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { openAsOwner } from '../../src/database/database.ts';
import { openStore, type Store } from '../../src/process/open-database.ts';
import { verify } from '../../src/verify/verify.ts';
import { startListeningApp } from '../http/support/listening-app.ts';
import { administer, urlOfDatabase } from '../support/global-setup.ts';
import { catalogueOf } from './support/catalogue.ts';
import { channels, write } from './support/content.mjs';

/*
 * Every build opens what every earlier one has written, and makes of it what a new database is. The files are named by the
 * commits of the builds that wrote into them, one after the other; record.mjs makes one.
 */

const folder = fileURLToPath(new URL('databases/', import.meta.url));
const dumps = readdirSync(folder).filter((file) => file.endsWith('.sql.gz'));
const dataFolders = readdirSync(folder).filter((file) => file.endsWith('.data.tar.br'));
const key = 'a-key-of-an-earlier-build';
const log = pino({ level: 'silent' });

const open = async (settings: Record<string, string>): Promise<Store> => {
  const store = await openStore(readConfig(settings), log, { mayJoin: false });
  onTestFinished(() => store.close());
  return store;
};

async function emptyDatabase(): Promise<string> {
  const name = `metrology_upgrade_${randomUUID().slice(0, 8)}`;
  await administer(inject('adminUrl'), `create database ${name}`);
  onTestFinished(() => administer(inject('adminUrl'), `drop database ${name} with (force)`));
  return urlOfDatabase(inject('adminUrl'), name);
}

async function catalogue(url: string): Promise<string[]> {
  const owner = openAsOwner(url, { onIdleError: () => {} });
  try {
    return await catalogueOf(owner.pool);
  } finally {
    await owner.close();
  }
}

/** That all is there as it was written, bit for bit, and that more can be written. */
async function use({ database }: Store): Promise<void> {
  const { app, port, close } = await startListeningApp(database);
  onTestFinished(close);
  const get = async (url: string) => {
    const answer = await app.inject({ url, headers: { 'x-api-key': key } });
    expect([url, answer.statusCode]).toEqual([url, 200]);
    return answer;
  };
  const found = (await get('/data_entries/')).json() as { data_id: string }[];
  expect(found.length).toBeGreaterThan(0);
  for (const { data_id } of found) {
    const text = (await get(`/exports/${data_id}?format=csv&layout=long`)).payload;
    for (const [name, chunks] of Object.entries(channels)) {
      const sent = chunks.flatMap(({ timestamps, values }) => values.map((value, i) => [timestamps[i], value]));
      expect(pointsOf(text, name)).toEqual(sent);
    }
  }
  const { chunks, revisions, channels: counted } = await verify(database, () => {});
  expect([chunks.differ, revisions.differ, counted.differ]).toEqual([0, 0, 0]);
  expect(chunks.checked).toBe(4 * found.length);
  await write(`http://127.0.0.1:${port}`, key, 'written by this build');
}

/** The times and values of a channel in a long CSV. */
function pointsOf(csv: string, channel: string): (number | null)[][] {
  const [head = '', ...lines] = csv.trimEnd().split('\n');
  const names = head.trim().split(',');
  const rows = lines.map((line) =>
    Object.fromEntries(
      line
        .trim()
        .split(',')
        .map((field, i) => [names[i], field]),
    ),
  );
  return rows
    .filter((row) => row.channel_name === channel)
    .map(({ timestamp, value }) => [Number(timestamp), value === '' ? null : Number(value)]);
}

describe('a database of an earlier build is opened, and is as a new one afterwards', () => {
  test.each(dumps)('%s', async (file) => {
    const [url, newUrl] = [await emptyDatabase(), await emptyDatabase()];
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(gunzipSync(readFileSync(folder + file)).toString());
    await client.end();
    const [store] = [await open({ DATABASE_URL: url }), await open({ DATABASE_URL: newUrl })];
    expect(await catalogue(url)).toEqual(await catalogue(newUrl));
    await use(store);
    await store.database.close();
    // And once more, as the next start finds it.
    await open({ DATABASE_URL: url });
  });
});

test.each(dataFolders)('a whole data folder: %s', async (file) => {
  const place = mkdtempSync(join(tmpdir(), 'metrology-upgrade-'));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  execFileSync('tar', ['-xf', '-', '-C', place], { input: brotliDecompressSync(readFileSync(folder + file)) });
  const store = await open({ DATA_DIR: join(place, 'data') });
  const newStore = await open({ DATA_DIR: join(place, 'new') });
  expect(await catalogue(store.ownerUrl)).toEqual(await catalogue(newStore.ownerUrl));
  await use(store);
});
