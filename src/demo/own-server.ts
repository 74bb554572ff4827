import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection } from './client.ts';

/** A server that the demo has started, with its data in a temporary folder. */
export interface OwnServer extends Connection {
  folder: string;
  /** Resolves when the server has ended, by `stop` or Ctrl-C, and its folder is removed. */
  ended: Promise<void>;
  stop(): Promise<void>;
}

const startMsMax = 60_000;

/**
 * Starts `metrology-server serve` on a free port, with the embedded PostgreSQL.
 * @param program path of the compiled command line
 * @throws with its output, when it does not start
 */
export async function startOwnServer(
  program: string,
  environment: Record<string, string | undefined>,
): Promise<OwnServer> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-demo-'));
  const key = `demo-${randomBytes(12).toString('hex')}`;
  const own = {
    HOST: '127.0.0.1',
    PORT: '0',
    DATABASE_URL: '',
    DATA_DIR: folder,
    BOOTSTRAP_API_KEY: key,
    PROVISIONING_FILE: '',
    LOG_LEVEL: 'error',
  };
  const child = spawn(process.execPath, [program, 'serve'], {
    env: { ...environment, ...own },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Ctrl-C reaches the server too. This process must outlive it to remove the folder.
  const pass = () => void child.kill('SIGTERM');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, pass);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
    .then(() => rm(folder, { recursive: true, force: true }))
    .finally(() => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, pass);
    });
  const stop = () => {
    child.kill('SIGTERM');
    return ended;
  };
  try {
    return { endpoint: await addressOf(child), key, folder, ended, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Finds the address in the output of the starting server. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const timer = setTimeout(() => reject(new Error(`No server within ${startMsMax} ms: ${said}`)), startMsMax);
    const listen = (text: string) => {
      said += text;
      const address = /^ +Address +(\S+)\n +Data /m.exec(said)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    };
    child.stdout?.setEncoding('utf8').on('data', listen);
    child.stderr?.setEncoding('utf8').on('data', listen);
    child.once('close', () => {
      clearTimeout(timer);
      reject(new Error(`The server did not start: ${said.trim() || 'it was stopped'}`));
    });
  });
}
