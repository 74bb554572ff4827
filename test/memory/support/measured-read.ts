import { nodeFlags, peakBytes } from '../../../bench/support/processes.ts';
import { type Server, serve, servingPids } from '../../support/built-server.ts';
import { loginOf } from '../../support/global-setup.ts';
import type { TestServer } from '../../support/test-server.ts';

/**
 * Reads answers one after the other from a server in a process of its own, where no test has left anything. Linux alone
 * tells the peak of another process.
 * @param folder in which it has been built
 * @returns of each answer its length, and by how many bytes the server's peak has grown since the answer before
 */
export async function measureReads(
  { databaseUrl, keys }: Pick<TestServer, 'databaseUrl' | 'keys'>,
  folder: string,
  paths: readonly string[],
): Promise<{ bytes: number; grownBytes: number }[]> {
  const settings = { DATABASE_URL: loginOf(databaseUrl), MIGRATION_DATABASE_URL: databaseUrl };
  // The young generation of V8 has its full size from the start, so that its growth counts for no answer.
  const semiSpace = nodeFlags.find((flag) => flag.startsWith('--max-semi-space-size'));
  if (semiSpace === undefined) throw new Error('the size of the young generation is not fixed any more');
  const server = await serve(folder, settings, { flags: [semiSpace.replace('max', 'min')] });
  try {
    const pid = servingPid(server);
    const measured = [];
    for (const path of paths) {
      const peakBefore = peakBytes(pid);
      const bytes = await lengthOf(server.endpoint + path, keys.ada);
      if (servingPid(server) !== pid) throw new Error('the process that is measured has been replaced');
      measured.push({ bytes, grownBytes: peakBytes(pid) - peakBefore });
    }
    return measured;
  } finally {
    server.child.kill('SIGTERM');
    await server.exit();
  }
}

/** Of the process that answers, not of the one above it, which only holds its sockets. */
function servingPid(server: Server): number {
  const [pid, ...others] = servingPids(server);
  if (pid === undefined || others.length > 0) throw new Error('one process should serve');
  if (peakBytes(pid) === 0) throw new Error('this system does not tell the memory of another process');
  return pid;
}

async function lengthOf(url: string, key: string): Promise<number> {
  const answer = await fetch(url, { headers: { 'x-api-key': key } });
  if (answer.status !== 200 || answer.body === null) throw new Error(`${url}: ${answer.status}`);
  let bytes = 0;
  for await (const piece of answer.body) bytes += (piece as Uint8Array).length;
  return bytes;
}
