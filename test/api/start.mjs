/*
 * npm run test:api -- [--examples NUMBER] [--seed NUMBER] [--only properties|schemathesis] [options of Vitest]
 * Sends made-up requests to every operation of openapi.yaml, so many examples each (100 unless told otherwise): those of
 * schemathesis to the built server, and those of fast-check to the app in process.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, tokens } = parseArgs({
  options: {
    examples: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
  strict: false,
  tokens: true,
});
for (const name of ['examples', 'seed']) {
  if (/^[1-9]\d{0,8}$/.test(values[name])) continue;
  process.stderr.write(`--${name} is a whole number from 1 to 999,999,999.\n`);
  process.exit(2);
}
if (![undefined, 'properties', 'schemathesis'].includes(values.only)) {
  process.stderr.write('--only is properties or schemathesis.\n');
  process.exit(2);
}
const files = values.only === undefined ? [] : [`test/api/${values.only}.suite.ts`];

const passedOn = tokens
  .filter((token) => token.kind === 'option' && !['examples', 'seed', 'only'].includes(token.name))
  .map(({ rawName, value }) => (value === undefined ? rawName : `${rawName}=${value}`));
const config = fileURLToPath(new URL('vitest.config.ts', import.meta.url));
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const child = spawn(process.execPath, [vitest, 'run', ...files, '--config', config, ...passedOn], {
  stdio: 'inherit',
  cwd: fileURLToPath(new URL('../..', import.meta.url)),
  env: { ...process.env, API_EXAMPLES: values.examples, API_SEED: values.seed },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
