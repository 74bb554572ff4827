/*
 * npm run test:faults -- [--list] [--only FAULT] [--scale small|full] [--seed NUMBER] [options of Vitest]
 * Runs the faults of this folder against the built server, and ends with 1 when anything acknowledged was violated.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const folder = fileURLToPath(new URL('.', import.meta.url));
const { values, tokens } = parseArgs({
  options: {
    list: { type: 'boolean' },
    only: { type: 'string' },
    scale: { type: 'string', default: 'small' },
    seed: { type: 'string' },
  },
  strict: false,
  tokens: true,
});
const names = readdirSync(`${folder}suites`)
  .map((file) => ({ file, name: file.replace(/^\d+-|\.ts$/g, '') }))
  .sort((one, other) => one.file.localeCompare(other.file, 'en', { numeric: true }));

const refuse = (sentence) => {
  process.stderr.write(`${sentence}\n`);
  process.exit(2);
};
if (values.list) {
  for (const { file, name } of names) {
    const [first] = readFileSync(`${folder}suites/${file}`, 'utf8').split('\n');
    process.stdout.write(`${name.padEnd(24)}${first.replace('// ', '')}\n`);
  }
  process.exit(0);
}
if (!['tiny', 'small', 'full'].includes(values.scale)) refuse('--scale is tiny, small or full.');
if (values.seed !== undefined && !/^\d{1,9}$/.test(values.seed))
  refuse('--seed is a whole number below 1,000,000,000.');
if (values.only !== undefined && !names.some(({ name }) => name === values.only)) {
  refuse(`There is no fault "${values.only}"; --list names all.`);
}

const own = ['list', 'only', 'scale', 'seed'];
const passedOn = tokens
  .filter((token) => token.kind === 'option' && !own.includes(token.name))
  .map(({ rawName, value }) => (value === undefined ? rawName : `${rawName}=${value}`));
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const child = spawn(process.execPath, [vitest, 'run', '--config', `${folder}vitest.config.ts`, ...passedOn], {
  stdio: 'inherit',
  cwd: fileURLToPath(new URL('../..', import.meta.url)),
  env: {
    ...process.env,
    FAULTS_SCALE: values.scale,
    ...(values.only !== undefined && { FAULTS_ONLY: values.only }),
    ...(values.seed !== undefined && { FAULTS_SEED: values.seed }),
  },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
