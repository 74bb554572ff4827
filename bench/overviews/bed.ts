import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type OwnerDatabase, openAsOwner } from '../../src/database/database.ts';
import { startEmbeddedPostgres } from '../../src/database/embedded.ts';
import { freePort, nodeFlags, startProcess, untilReady } from '../support/processes.ts';

/** Two servers on one PostgreSQL: one makes overviews and reads with them, the other does neither. */
export interface Bed {
  withOverviews: Side;
  without: Side;
  client: pg.Client;
  owner: OwnerDatabase;
  connectionString: string;
  /** Resolves when the server has made all overviews that it knows to be missing. */
  settled(): Promise<void>;
  say(text: string): void;
  /** May be called again and gives the same promise. */
  close(): Promise<void>;
}

/** A server, in the form that `download` takes. */
export interface Side {
  url: string;
  key: string;
}

const quiet = { info() {}, warn() {}, error() {} };
const program = fileURLToPath(new URL('../targets/one-process.js', import.meta.url));

export async function openBed(folder: string, say: (text: string) => void): Promise<Bed> {
  const dataDir = join(folder, 'overviews');
  await mkdir(dataDir);
  const postgres = await startEmbeddedPostgres({ dataDir, log: quiet });
  const closings = [() => postgres.stop()];
  const closeAll = async () => {
    for (const one of closings.toReversed()) await one();
  };
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= closeAll();
    return closing;
  };
  try {
    const { connectionString } = postgres;
    const key = `bench-${randomBytes(16).toString('hex')}`;
    const start = async (form: string): Promise<Side> => {
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      const settings = { DATABASE_URL: connectionString, DATA_DIR: dataDir, BOOTSTRAP_API_KEY: key };
      const running = startProcess(process.execPath, [...nodeFlags, program, form], {
        ...settings,
        PORT: String(port),
        LOG_LEVEL: 'error',
      });
      closings.push(async () => void (await running.stop()));
      await untilReady(running, `${url}/readyz`);
      return { url, key };
    };
    const withOverviews = await start('packed');
    const without = await start('without-overviews');
    const client = new pg.Client({ connectionString });
    client.on('error', () => {});
    await client.connect();
    closings.push(() => client.end());
    const owner = openAsOwner(connectionString, { onIdleError: () => {} });
    closings.push(() => owner.close());
    const settled = () => untilSettled(withOverviews);
    return { withOverviews, without, client, owner, connectionString, settled, say, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Resolves when no overview waits to be made by a server. */
export async function untilSettled({ url, key }: Side): Promise<void> {
  for (let idleLooks = 0; idleLooks < 3; ) {
    const answer = await fetch(`${url}/metrics`, { headers: { 'X-API-KEY': key } });
    const waiting = /^metrology_overviews_waiting(?:\{[^}]*\})? (\d+)/m.exec(await answer.text())?.[1];
    if (waiting === undefined) throw new Error(`${url}/metrics does not tell of overviews`);
    idleLooks = waiting === '0' ? idleLooks + 1 : 0;
    await sleep(500);
  }
}
