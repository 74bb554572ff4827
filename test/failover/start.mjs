/*
 * npm run test:failover -- [--rounds NUMBER] [--only PATTERN] [--seed NUMBER] [--cost] [options of Vitest]
 * Runs three PostgreSQL 15 under Patroni, and the built server with the SDK, through failovers and restarts, and ends with 1
 * when an instrument lost something. --only takes the faults whose name matches this regular expression. More than one
 * round is the full form: hours, if need be. --cost measures what a synchronous replica costs, and nothing else.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const folder = fileURLToPath(new URL('.', import.meta.url));
const { values, tokens } = parseArgs({
  options: {
    rounds: { type: 'string' },
    only: { type: 'string' },
    seed: { type: 'string' },
    cost: { type: 'boolean' },
  },
  strict: false,
  tokens: true,
});
for (const name of ['rounds', 'seed']) {
  if (values[name] === undefined || /^\d{1,9}$/.test(values[name])) continue;
  process.stderr.write(`--${name} is a whole number below 1,000,000,000.\n`);
  process.exit(2);
}
const suites = values.cost ? ['cost'] : values.only === undefined ? ['failover', 'absences'] : ['failover'];
const files = suites.map((name) => `${folder}${name}.suite.ts`);
const own = ['rounds', 'only', 'seed', 'cost'];
const passedOn = tokens
  .filter((token) => token.kind === 'option' && !own.includes(token.name))
  .map(({ rawName, value }) => (value === undefined ? rawName : `${rawName}=${value}`));
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const child = spawn(process.execPath, [vitest, 'run', '--config', `${folder}vitest.config.ts`, ...passedOn, ...files], {
  stdio: 'inherit',
  cwd: fileURLToPath(new URL('../..', import.meta.url)),
  env: {
    ...process.env,
    ...Object.fromEntries(
      own.filter((name) => values[name] !== undefined).map((name) => [`FAILOVER_${name.toUpperCase()}`, values[name]]),
    ),
  },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
