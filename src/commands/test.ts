import { randomBytes } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { readConfig } from '../config.ts';
import { processBirth } from '../database/embedded/processes.ts';
import { type LogFormat, openLog } from '../process/log.ts';
import { cacheFolder } from '../testing/folders.ts';
import { testingLimits } from '../testing/limits.ts';
import type { StartedServer } from '../testing/server.ts';

interface TestOptions {
  port: number;
  seed?: string;
  keep?: string;
  parent?: number;
  openapi?: true;
}

type Environment = Record<string, string | undefined>;

/** Adds the options and the action of `metrology-server test`. */
export function addTestCommand(command: Command, environment: Environment): void {
  command
    .description('run a server for integration tests: alone, gone at its end, failing when told to (docs/testing.md)')
    .option('--port <port>', 'port on 127.0.0.1; 0 picks a free one', wholeNumberWithin(0, 65_535), 0)
    .option('--seed <text>', 'the same requests one after another give the same ids, keys and dice of faults')
    .option('--keep <dir>', 'an empty folder for the data, which is left there at the end')
    .option('--parent <pid>', 'ends when this process has ended', wholeNumberWithin(1, 2 ** 31))
    .option('--openapi', 'print the OpenAPI document of the routes below /_test, and run nothing')
    .action((options: TestOptions) => (options.openapi ? printOpenapi() : runTestServer(options, environment)));
}

async function printOpenapi(): Promise<void> {
  const { testOpenapiYaml } = await import('../testing/openapi.ts');
  process.stdout.write(await testOpenapiYaml());
}

/** Settings that a test server does not read from the environment: it chooses its own address, database and key. */
const notTaken = ['HOST', 'PORT', 'DATABASE_URL', 'MIGRATION_DATABASE_URL', 'DATA_DIR', 'WORKERS', 'BOOTSTRAP_API_KEY'];

/**
 * Prints one line of JSON when the server is ready. Runs until it is asked to stop: by a signal, by the end of the
 * process of `--parent`, or by the end of standard input if that is a pipe.
 */
async function runTestServer(options: TestOptions, environment: Environment): Promise<void> {
  const asked = untilAsked(options.parent);
  const taken = Object.entries(environment).filter(([name]) => !notTaken.includes(name));
  const config = readConfig({ LOG_LEVEL: 'error', ...Object.fromEntries(taken) });
  const log = openLog(config.LOG_LEVEL, 2, config.LOG_FORMAT as LogFormat);
  const { port, keep, seed = randomBytes(8).toString('hex') } = options;
  const cacheDir = cacheFolder(environment);
  // Imported only here, so that the other commands do not wait for it to be loaded.
  const { startServerForTests } = await import('../testing/server.ts');
  const server = await startServerForTests({ config, port, seed, keep, cacheDir, log });
  const ended = Promise.race([asked, server.failed]);
  process.stdout.on('error', () => {}); // The parent may have closed the pipe after it read the line.
  process.stdout.write(`${JSON.stringify(server.line)}\n`);
  await end(server, await ended);
}

async function end(server: StartedServer, why: string | undefined): Promise<void> {
  await server.stop();
  if (why !== undefined) throw new Error(why);
  // Does not wait for anything that still runs, such as a request that hangs.
  process.exit(0);
}

/** Resolves when the server is asked to stop, even while it is still starting. */
function untilAsked(parent: number | undefined, { parentLookMs } = testingLimits): Promise<undefined> {
  return new Promise((resolve) => {
    const stop = () => resolve(undefined);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
    if (parent !== undefined) {
      const birth = processBirth(parent);
      setInterval(() => (birth === undefined || processBirth(parent) !== birth) && stop(), parentLookMs);
    }
    if (isPipe(0)) process.stdin.on('end', stop).on('close', stop).on('error', stop).resume();
  });
}

function isPipe(descriptor: number): boolean {
  try {
    const found = fstatSync(descriptor);
    return found.isFIFO() || found.isSocket();
  } catch {
    // The descriptor is closed.
    return false;
  }
}

function wholeNumberWithin(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`A whole number from ${minimum} to ${maximum} is needed.`);
  };
}
