import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { migrate } from '../../src/database/migrate.ts';
import { emptyDatabase, folderOf } from './support/migrating.ts';

/* A migration that has shipped never changes: databases that had the earlier text would differ for ever. */

const folder = fileURLToPath(new URL('../../migrations/', import.meta.url));
const sums = 'migrations/SHA256SUMS';
const lines = readFileSync(`${folder}SHA256SUMS`, 'utf8').trimEnd().split('\n');

const git = (...args: string[]) =>
  execFileSync('git', ['-C', folder, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

function hasHistory(): boolean {
  try {
    return git('rev-parse', '--is-shallow-repository').trim() === 'false';
  } catch {
    return false;
  }
}

describe('migrations are frozen', () => {
  test('each file has its line in SHA256SUMS and is what the line says', () => {
    const files = readdirSync(folder)
      .filter((file) => file.endsWith('.sql'))
      .sort();
    const made = files.map((file) => {
      const hash = createHash('sha256')
        .update(readFileSync(folder + file))
        .digest('hex');
      return `${hash}  ${file}`;
    });
    expect(lines).toEqual(made);
  });

  test.runIf(hasHistory())('lines have only ever been added', () => {
    const changes = git('log', '--first-parent', '--diff-merges=first-parent', '-p', '--format=', '--', `:/${sums}`);
    expect(changes.split('\n').filter((line) => /^-[0-9a-f]{64} /.test(line))).toEqual([]);
  });

  test.runIf(hasHistory())('no file has changed since it has its line', () => {
    // A merge counts as what it brings, not as the steps on its branch.
    const log = ['log', '--first-parent', '--diff-merges=first-parent'];
    const added = git(...log, '--no-patch', '--diff-filter=A', '--format=%H', '--', `:/${sums}`)
      .trim()
      .split('\n')
      .at(-1);
    expect(added).toMatch(/^[0-9a-f]{40}$/);
    const changes = [...log, '--format=', '--diff-filter=MDR', '--name-only', `${added}..HEAD`];
    const changed = git(...changes, '--', ':/migrations/*.sql');
    expect(changed.trim()).toBe('');
  });
});

test('a database that has had another text under the same name is refused, and left as it is', async () => {
  const database = (await emptyDatabase())();
  const first = await folderOf({ '0001_first.sql': 'create table first (id integer);' });
  await migrate(database, { folder: first });
  const changed = await folderOf({
    '0001_first.sql': 'create table first (id bigint);',
    '0002_second.sql': 'create table second (id integer);',
  });
  await expect(migrate(database, { folder: changed })).rejects.toThrow(
    /other migrations under the names .*\(0001_first\)/,
  );
  const { rows } = await database.pool.query(`select to_regclass('second') as second`);
  expect(rows).toEqual([{ second: null }]);
});
