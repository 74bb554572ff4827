import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { createReadiness } from '../../src/database/readiness.ts';
import { serviceRole } from '../../src/database/roles.ts';

/** A database without migrations and troubles. */
const facts = { role: serviceRole, isStandby: false, weakSettings: null, roleLost: false, missing: null, bare: null };
const query = async (statement: string | { text: string }) => {
  const text = typeof statement === 'string' ? statement : statement.text;
  if (text.includes('weakSettings')) return { rows: [facts] };
  if (text.includes('pg_control_system')) return { rows: [{ identity: 'one' }] };
  return { rows: text.includes('begun') ? [{ begun: true }] : [] };
};
const pool = { query, connect: async () => ({ query, release() {} }) };

test('a full disk, whose free space changes with each look, is told of once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-no-migrations-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  let freeMib: number | undefined;
  const full = () => (freeMib === undefined ? undefined : `The disk of the database is full: ${freeMib} MiB are left.`);
  const readiness = createReadiness({
    pool: pool as never,
    disk: { look: async () => {}, full, note() {} },
    ...{ readinessEveryMs: 1_000_000, readinessKeepMs: 0, dataFolderKeepMs: 10 },
    migrationsFolder: pathToFileURL(`${folder}/`),
  });
  const lines: string[] = [];
  const note = (about: object, text: string) => lines.push(`${text} ${JSON.stringify(about)}`);
  onTestFinished(readiness.watch({ warn: note, error: note }));
  expect(await readiness.look()).toBeUndefined();
  for (freeMib of [9, 8, 9, 7]) expect(await readiness.look()).toContain(`${freeMib} MiB are left. Reads go on.`);
  freeMib = undefined;
  expect(await readiness.look()).toBeUndefined();
  expect(lines).toEqual([expect.stringMatching(/^not ready .*9 MiB are left/), 'ready again {}']);
});
