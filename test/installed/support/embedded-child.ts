/**
 * A server process for the tests of the embedded PostgreSQL: starts the one of the folder it is given and writes one
 * line of JSON for it, another for each log entry. It stops in order at the end of its standard input.
 *
 * Arguments: DATA_DIR, then further options as JSON.
 */
import { runningEmbeddedPostgres, startEmbeddedPostgres } from '../../../src/database/embedded.ts';

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const [dataDir = '', more = '{}'] = process.argv.slice(2);
const before = performance.now();
const entry = (level: string) => (fields: { err?: Error }, message: string) =>
  say({ kind: 'log', level, message, error: fields.err?.message });

if (more === 'find') {
  say({ kind: 'found', connectionString: await runningEmbeddedPostgres(dataDir) });
} else {
  try {
    const log = { info: entry('info'), warn: entry('warn'), error: entry('error') };
    const embedded = await startEmbeddedPostgres({ dataDir, log, ...JSON.parse(more) });
    say({ kind: 'ready', ...embedded, tookMs: performance.now() - before });
    process.stdin.once('end', async () => {
      await embedded.stop();
      say({ kind: 'stopped' });
    });
    process.stdin.resume();
  } catch (error) {
    say({ kind: 'refused', message: (error as Error).message });
    process.exitCode = 1;
  }
}
