/*
 * npm run test:bounds -- [--list] [--only NAMES] [--scale small|full] [options of Vitest]
 * Attacks the built server while somebody else sends chunks, and ends with 1 when that one is not served as docs/security.md
 * promises. NAMES are rows or groups of rows, with commas between them.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const folder = fileURLToPath(new URL('.', import.meta.url));
const { values, tokens } = parseArgs({
  options: {
    list: { type: 'boolean' },
    only: { type: 'string' },
    scale: { type: 'string', default: 'small' },
  },
  strict: false,
  tokens: true,
});
if (!['small', 'full'].includes(values.scale)) {
  process.stderr.write('--scale is small or full.\n');
  process.exit(2);
}

const own = ['list', 'only', 'scale'];
const passedOn = tokens
  .filter((token) => token.kind === 'option' && !own.includes(token.name))
  .map(({ rawName, value }) => (value === undefined ? rawName : `${rawName}=${value}`));
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const command = values.list ? 'list' : 'run';
const child = spawn(process.execPath, [vitest, command, '--config', `${folder}vitest.config.ts`, ...passedOn], {
  stdio: 'inherit',
  // Linux shares processors between sessions first, so this one can be put before those of others, below.
  detached: true,
  cwd: fileURLToPath(new URL('../..', import.meta.url)),
  env: {
    ...process.env,
    BOUNDS_SCALE: values.scale,
    ...(values.only !== undefined && { BOUNDS_ONLY: values.only }),
  },
});
try {
  writeFileSync(`/proc/${child.pid}/autogroup`, '-10');
} catch {
  // Only root may, on Linux: then it is measured among all else that the machine does.
}
// Everything that it has started is of its group; PostgreSQL takes SIGINT for a fast end.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.kill(-child.pid, 'SIGINT'));
child.on('exit', (code) => process.exit(code ?? 1));
