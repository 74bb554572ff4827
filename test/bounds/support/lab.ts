import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scope } from '../../../src/auth/identity.ts';
import { createKey } from '../../../src/auth/keys.ts';
import { openDatabase } from '../../../src/database/database.ts';
import { type Cluster, openCluster } from '../../faults/support/postgres-15.ts';
import { run as runProgram, type Server, serve } from '../../support/built-server.ts';

/** Each is of an organization of its own, but for `reader` and `revoked`, which belong to the attackers. */
export interface Keys {
  attacker: string;
  /** May only read. */
  reader: string;
  revoked: string;
  /** Somebody else, whom the witness sends for. */
  other: string;
  /** A third organization that works as usual. */
  third: string;
  admin: string;
  /** Of twelve more organizations, more than have a turn of the event loop together. */
  crowd: string[];
}

/** What servers of a run stand on: a PostgreSQL, and a database with keys that others are copied from. */
export interface Lab {
  builtFolder: string;
  cluster: Cluster;
  keys: Keys;
  /** In memory; it is there until the end of the run. Servers write down there how long their event loops did not turn. */
  folder: string;
  /** A migrated database that holds the keys and nothing else. @returns its name */
  newDatabase(): Promise<string>;
  remove(): Promise<void>;
}

const folderInMemory = '/dev/shm';
const loopClock = new URL('./loop-clock.mjs', import.meta.url).href;
const template = 'template_lab';

export async function openLab(builtFolder: string): Promise<Lab> {
  // In memory where there is such a folder, so that the disks of others are no part of what is measured.
  const parent = existsSync(folderInMemory) ? folderInMemory : tmpdir();
  const cluster = await openCluster({ settings: { max_connections: '200', max_wal_size: '2GB' }, parent });
  await cluster.start();
  try {
    await cluster.query(`create database ${template}`);
    const keys = await makeKeys(builtFolder, cluster);
    const folder = await mkdtemp(join(parent, 'bounds-'));
    let count = 0;
    return {
      ...{ builtFolder, cluster, keys, folder },
      async newDatabase() {
        const name = `lab_${++count}`;
        await cluster.query(`create database ${name} template ${template}`);
        return name;
      },
      async remove() {
        await rm(folder, { recursive: true, force: true });
        await cluster.remove();
      },
    };
  } catch (error) {
    await cluster.remove();
    throw error;
  }
}

/** The script of `metrology-server`, within `dist`. */
export function commandOf(builtFolder: string): string {
  const { bin } = JSON.parse(readFileSync(join(builtFolder, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
  };
  return (bin['metrology-server'] as string).replace(/^(\.\/)?dist\//, '');
}

async function makeKeys(builtFolder: string, cluster: Cluster): Promise<Keys> {
  const settings = { DATABASE_URL: cluster.url(template) };
  const program = runProgram(builtFolder, commandOf(builtFolder), ['migrate'], settings);
  const { code } = await program.exit();
  if (code !== 0) throw new Error(`the database could not be migrated:\n${program.stderr()}`);
  const database = openDatabase(cluster.url(template), { poolMax: 2, onIdleError: () => {} });
  const create = (organization: string, ...scopes: Scope[]) =>
    createKey(database, organization, 'bounds', { scopes: scopes.length > 0 ? scopes : ['read', 'write', 'delete'] });
  const attacker = await create('attackers');
  const reader = await create('attackers', 'read');
  const revoked = await create('attackers');
  const other = await create('somebody else');
  const third = await create('third');
  const admin = await create('operators', 'admin');
  const crowd = await Promise.all(Array.from({ length: 12 }, (_, i) => create(`crowd ${i}`)));
  await database.close();
  const hint = revoked.split('_').slice(0, 2).join('_');
  const changed = await cluster.query(
    `update api_keys set revoked_at = now() where key_hint = '${hint}' returning key_id`,
    template,
  );
  if (changed.length !== 1) throw new Error('no key was revoked');
  return { attacker, reader, revoked, other, third, admin, crowd };
}

/** A built server on a database of the lab. */
export interface Site {
  database: string;
  /** Where its event loop writes down how long it did not turn (loop-clock.mjs). */
  clockFile: string;
  port(): number;
  pid(): number;
  server(): Server;
  /** SIGKILL. */
  stop(): Promise<void>;
}

export interface SiteOptions {
  settings?: Record<string, string>;
  /** A command that runs the server, such as `prlimit --nofile=128`. */
  before?: readonly string[];
}

export async function openSite(lab: Lab, { settings = {}, before = [] }: SiteOptions = {}): Promise<Site> {
  const database = await lab.newDatabase();
  const clockFile = join(lab.folder, database);
  const own = {
    ...{ DATABASE_URL: lab.cluster.url(database), LOG_LEVEL: 'info' },
    ...{ NODE_OPTIONS: `--import=${loopClock}`, LOOP_CLOCK: clockFile },
  };
  const server = await serve(lab.builtFolder, { ...own, ...settings }, { before });
  return {
    ...{ database, clockFile },
    port: () => Number(new URL(server.endpoint).port),
    pid: () => server.child.pid as number,
    server: () => server,
    async stop() {
      server.child.kill('SIGKILL');
      await server.exit();
    },
  };
}
