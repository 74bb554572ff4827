import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodeFlags } from '../../../bench/support/processes.ts';
import { isRunning } from '../../built-server.ts';
import { type Client, type ClientOptions, createClient } from '../../faults/support/client.ts';
import { freePort } from '../../faults/support/processes.ts';

const script = join(import.meta.dirname, 'hold.py');
const endMsMax = 60_000;
const readyMsMax = 60_000;

/** A built server on a socket that outlives it, as with systemd's socket unit. */
export interface HeldServer {
  endpoint: string;
  pid(): number;
  start(): Promise<void>;
  /** SIGTERM; ms until it had ended. @throws when it has not within a minute */
  stop(): Promise<number>;
  kill(): Promise<void>;
  /** SIGUSR2: the same process goes on, and what serves is replaced. */
  reload(): void;
  client(options?: Partial<ClientOptions>): Client;
  /** What servers wrote to their standard error, the last lines. */
  log(): string;
  /** Ends what runs and gives the socket back. */
  close(): Promise<void>;
}

export async function holdServer(
  builtFolder: string,
  key: string,
  settings: Record<string, string>,
): Promise<HeldServer> {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const main = [process.execPath, ...nodeFlags, join(builtFolder, 'dist/main.js')];
  const { PATH, HOME, LANG } = process.env;
  const holder: ChildProcess = spawn('python3', [script, String(port), ...main], {
    cwd: builtFolder,
    env: {
      PATH,
      HOME,
      LANG,
      PORT: String(port),
      BOOTSTRAP_API_KEY: key,
      LOG_LEVEL: 'error',
      ...settings,
      ...(process.env.UNHELD && { UNHELD: '1' }),
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let log = '';
  holder.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-20_000);
  });
  const said = linesOf(holder);
  if ((await said()) !== 'held') throw new Error(`the socket is not held:\n${log}`);
  let pid = 0;
  const until = async (what: string, msMax: number, condition: () => boolean | Promise<boolean>) => {
    const startedAt = performance.now();
    while (!(await condition())) {
      if (performance.now() - startedAt > msMax) throw new Error(`${what} after ${msMax} ms:\n${log.slice(-2_000)}`);
      await sleep(20);
    }
    return performance.now() - startedAt;
  };
  const end = (signal: NodeJS.Signals) => {
    if (pid === 0 || !isRunning(pid)) return Promise.resolve(0);
    process.kill(pid, signal);
    return until(`still running, after ${signal},`, endMsMax, () => !isRunning(pid));
  };

  return {
    endpoint,
    pid: () => pid,
    async start() {
      holder.stdin?.write('start\n');
      // The server's own lines come on the same pipe.
      for (let line = await said(); ; line = await said())
        if (/^\d+$/.test(line)) {
          pid = Number(line);
          break;
        }
      await until('not ready', readyMsMax, async () => {
        if (!isRunning(pid)) throw new Error(`the server ended:\n${log.slice(-2_000)}`);
        const answer = await fetch(`${endpoint}/readyz`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
        return answer?.status === 200;
      });
    },
    stop: () => end('SIGTERM'),
    async kill() {
      await end('SIGKILL');
    },
    reload: () => process.kill(pid, 'SIGUSR2'),
    client: (options = {}) => createClient({ endpoint: () => endpoint, key, ...options }),
    log: () => log,
    async close() {
      await end('SIGTERM');
      const ended = new Promise((resolve) => holder.once('exit', resolve));
      holder.stdin?.end();
      await ended;
    },
  };
}

function linesOf(child: ChildProcess): () => Promise<string> {
  if (child.stdout === null) throw new Error('a holder without a pipe');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the holder of the socket ended');
    return value as string;
  };
}
