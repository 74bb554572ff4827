import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';
import { noteConnectionError } from '../../src/database/driver.ts';
import { passingFailure } from '../../src/database/failures.ts';

/** Opens files until there is no descriptor left, asks the database, and tells what that failed with. */
const program = `
  const { openSync } = await import('node:fs');
  const { default: pg } = await import('pg');
  const pool = new pg.Pool({ connectionString: process.argv[1] });
  try { for (;;) openSync('/dev/null', 'r'); } catch {}
  await pool.query('select 1').catch(({ code, message }) => process.stdout.write(JSON.stringify({ code, message })));
  process.exit(0);`;

test('a process without a descriptor left says so, and that passes', async () => {
  const args = ['-c', 'ulimit -n 100; exec "$0" --input-type=module -e "$1" "$2"'];
  const { stdout } = await promisify(execFile)('sh', [...args, process.execPath, program, inject('adminUrl')], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  });
  const failure = JSON.parse(stdout);
  const told = () => Object.assign(new Error(failure.message), failure);
  expect(passingFailure(noteConnectionError(told()))).toBe(
    'The server has no file descriptor left for a database connection',
  );
  // Of a file.
  expect(passingFailure(told())).toBe('The server has no file descriptor left');
});
