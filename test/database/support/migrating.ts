import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inject, onTestFinished } from 'vitest';
import { type OwnerDatabase, openAsOwner } from '../../../src/database/database.ts';
import { administer, urlOfDatabase } from '../../support/global-setup.ts';
import { newDatabaseName } from '../../support/test-server.ts';

/** A database without tables until the end of the run. @returns what opens it as its owner */
export async function emptyDatabase(): Promise<() => OwnerDatabase> {
  const name = newDatabaseName();
  await administer(inject('adminUrl'), `create database ${name}`);
  return () => {
    const url = urlOfDatabase(inject('adminUrl'), name);
    const database = openAsOwner(url, { poolMax: 2, onIdleError: () => {} });
    onTestFinished(() => database.close());
    return database;
  };
}

/** A folder with these files until the end of the test. */
export async function folderOf(files: Record<string, string>): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-migrations-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return pathToFileURL(`${folder}/`);
}
