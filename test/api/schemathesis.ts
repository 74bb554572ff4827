import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runToEnd } from '../sdk/support/run-to-end.ts';

const folder = import.meta.dirname;
const project = resolve(folder, '../..');
const cacheFolder = join(project, 'node_modules/.cache/schemathesis');
const installMsMax = 300_000;

/** Installs requirements.txt into an environment that is kept between runs. @returns its program */
export async function installSchemathesis(): Promise<string> {
  const requirements = join(folder, 'requirements.txt');
  const base = process.env.PYTHON ?? 'python3';
  const version = await runToEnd(base, ['-VV'], { msMax: installMsMax });
  // The programs of an environment name the path where it was made, so that a checkout that has moved needs another one.
  const key = createHash('sha256')
    .update(cacheFolder)
    .update(version)
    .update(await readFile(requirements));
  const environment = join(cacheFolder, key.digest('hex').slice(0, 12));
  if (!existsSync(join(environment, 'complete'))) {
    await rm(environment, { recursive: true, force: true });
    await mkdir(cacheFolder, { recursive: true });
    await runToEnd(base, ['-m', 'venv', environment], { msMax: installMsMax });
    const args = ['-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', '-r', requirements];
    await runToEnd(join(environment, 'bin/python'), args, { msMax: installMsMax });
    await writeFile(join(environment, 'complete'), '');
  }
  return join(environment, 'bin/schemathesis');
}

/** How often an operation was called, and how often with which status; how many failures were excluded for which reason. */
export interface Report {
  calls: Record<string, Record<string, number>>;
  excluded: Record<string, number>;
}

export interface RunOptions {
  program: string;
  endpoint: string;
  key: string;
  examples: number;
  seed: number;
  /** A regular expression: which paths of openapi.yaml. */
  paths: string;
  /** A folder for what the run leaves behind. */
  place: string;
  msMax: number;
}

/** Tests some paths of the document. @returns what it found wrong, empty when nothing, and what it did */
export async function runSchemathesis(options: RunOptions): Promise<{ failure: string; report: Report }> {
  const { program, endpoint, key, examples, seed, paths, place, msMax } = options;
  await mkdir(place, { recursive: true });
  const args = ['--config-file', join(folder, 'schemathesis.toml'), 'run', join(project, 'openapi.yaml')];
  args.push('--url', endpoint, '--header', `X-API-KEY: ${key}`, '--include-path-regex', paths);
  args.push('--max-examples', String(examples), '--seed', String(seed), '--continue-on-failure', '--no-color');
  const report = join(place, 'report.json');
  const hooks = join(folder, 'hooks.py');
  const env = { ...process.env, API_ENDPOINT: endpoint, API_KEY: key, REPORT: report, SCHEMATHESIS_HOOKS: hooks };
  const failure = await runToEnd(program, args, { msMax, cwd: place, env }).then(
    () => '',
    (error: Error) => failuresOf(error.message),
  );
  return {
    failure,
    report: existsSync(report) ? JSON.parse(await readFile(report, 'utf8')) : { calls: {}, excluded: {} },
  };
}

const lineLengthMax = 500;

/** From the first failure on; URLs of thousands of parameters are cut. */
function failuresOf(said: string): string {
  const start = Math.max(0, said.search(/^=+ (ERRORS|FAILURES) =+$/m));
  const lines = said.slice(start).split('\n');
  return lines.map((line) => (line.length > lineLengthMax ? `${line.slice(0, lineLengthMax)}…` : line)).join('\n');
}
