import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findPostgresBinaries } from '../../../src/database/embedded/binaries.ts';

/** A folder whose `bin/postgres` says this of itself. */
function installed(says: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'metrology-postgres-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'bin'));
  for (const name of ['postgres', 'initdb']) {
    const path = join(folder, 'bin', name);
    writeFileSync(path, `#!/bin/sh\necho '${name} ${says}'\n`);
    chmodSync(path, 0o755);
  }
  return folder;
}

test('the PostgreSQL of a folder is run where it is 17 or 18, from whichever packager', () => {
  const debian = installed('(PostgreSQL) 18.6 (Debian 18.6-1.pgdg12+1)');
  expect(findPostgresBinaries(debian)).toEqual({ native: debian, version: '18.6', release: '18.6', major: '18' });
  expect(findPostgresBinaries(installed('(PostgreSQL) 17.10'))).toMatchObject({ release: '17.10', major: '17' });
  // The one that comes as a package, by its folder.
  const shipped = findPostgresBinaries();
  const link = join(debian, 'package');
  symlinkSync(realpathSync(shipped.native), link);
  expect(findPostgresBinaries(link)).toMatchObject({ native: link, release: shipped.release, major: shipped.major });
});

test('another one, or none, is refused with what to do', () => {
  const old = installed('(PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)');
  expect(() => findPostgresBinaries(old)).toThrow(/15\.20.*17 or 18 is needed: set EMBEDDED_POSTGRES_DIR/);
  expect(() => findPostgresBinaries(installed('of another kind'))).toThrow(/17 or 18 is needed/);
  expect(() => findPostgresBinaries('/nowhere')).toThrow(
    'there is no /nowhere/bin/postgres: set EMBEDDED_POSTGRES_DIR',
  );
  // The bin itself, as people are used to.
  expect(() => findPostgresBinaries(join(old, 'bin'))).toThrow(/the folder above its bin/);
});
