import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyPrefix } from '../src/auth/api-key.ts';
import { createKey } from '../src/auth/keys.ts';
import { type Database, openDatabase } from '../src/database/database.ts';
import { type ListeningApp, startListeningApp } from './http/support/listening-app.ts';
import { readCaseCounts } from './sdk/recording/case-counts.ts';
import { compatibilityDocument, documentFile } from './sdk/recording/document.ts';
import { replay } from './sdk/recording/replay.ts';
import { readTranscripts } from './sdk/recording/transcript.ts';
import { pins } from './sdk/support/releases.ts';
import { cloneDatabase } from './support/test-server.ts';
import { readFaultResults } from './testing/support/sdk-fault-results.ts';

const transcripts = await readTranscripts();
let database: Database;
let listening: ListeningApp;

beforeAll(async () => {
  const databaseUrl = await cloneDatabase();
  database = openDatabase(databaseUrl, { poolMax: 8, onIdleError: () => {} });
  listening = await startListeningApp(database);
});

afterAll(async () => {
  await listening.close();
  await database.close();
});

test('every pinned release has a transcript, and there is no other', () => {
  const named = (all: readonly { package: string; version: string }[]) =>
    all.map((one) => `${one.package} ${one.version}`).sort();
  expect(named(transcripts)).toEqual(named(pins));
});

describe('what each release of the SDK sent is answered as it was', () => {
  for (const transcript of transcripts) {
    test(`${transcript.package} ${transcript.version}`, async () => {
      const key = await createKey(database, `replay of ${transcript.package} ${transcript.version}`, 'recorder');
      expect(await replay(transcript, { port: listening.port, key })).toEqual([]);
    });
  }
});

test('docs/compatibility.md is what the transcripts show', async () => {
  const text = compatibilityDocument(transcripts, await readCaseCounts(), await readFaultResults());
  expect(await readFile(documentFile, 'utf8'), 'stale: npm run compatibility').toBe(text);
});

test('no transcript holds a key', () => {
  for (const { steps } of transcripts) {
    for (const { headers, ...texts } of steps.flatMap(({ exchanges }) => exchanges)) {
      expect(['<key>', undefined]).toContain(headers['x-api-key']);
      expect(JSON.stringify(texts)).not.toContain(keyPrefix);
    }
  }
});
