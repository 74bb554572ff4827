import pg from 'pg';
import type { TcpProxy } from '../../http/support/tcp-proxy.ts';
import type { Cluster } from './postgres-15.ts';
import type { Run } from './run.ts';
import type { SmallDisk } from './small-disk.ts';

export const database = 'lab';
export const holdMs = { tiny: 500, small: 3_000, full: 20_000 };

/** Something that befalls a PostgreSQL for a while. */
export interface Trouble {
  name: string;
  /** How long it lasts. */
  holdMs: number;
  /** Longest time until a read is answered, be it by 503. */
  readMsMax: number;
  /** A chunk must wait, or a read be refused, while it lasts; otherwise there was none. */
  isOutage: boolean;
  /** A read is answered while it lasts. */
  readsGoOn?: boolean;
  begin(): Promise<void>;
  end(): Promise<void>;
}

/** What befalls the PostgreSQL behind the proxy; its disk is the small one, where there is one. */
export function troubles(run: Run, cluster: Cluster, proxy: TcpProxy, disk: SmallDisk | undefined): Trouble[] {
  const hold = run.size(holdMs);
  const admin = (statement: string) => cluster.query(statement, database);
  const hogs: pg.Client[] = [];
  let locked: pg.Client | undefined;
  const all: (Trouble | undefined)[] = [
    {
      name: 'PostgreSQL slow',
      holdMs: hold,
      readMsMax: 15_000,
      isOutage: false,
      begin: () => slowDown(admin),
      end: async () => void (await admin('drop trigger slow on chunks')),
    },
    {
      name: 'PostgreSQL unreachable',
      holdMs: hold,
      readMsMax: 3_000,
      isOutage: true,
      begin: () => proxy.close(),
      end: () => proxy.open(),
    },
    {
      name: 'PostgreSQL out of connections',
      holdMs: hold,
      readMsMax: 3_000,
      isOutage: true,
      begin: () => takeAllConnections(cluster, hogs),
      end: async () => void (await Promise.all(hogs.splice(0).map((hog) => hog.end()))),
    },
    {
      name: 'PostgreSQL read-only',
      holdMs: hold,
      readMsMax: 3_000,
      isOutage: true,
      begin: () => setReadOnly(cluster, 'on'),
      end: () => setReadOnly(cluster, 'off'),
    },
    disk && {
      name: 'disk of PostgreSQL full',
      holdMs: hold,
      readMsMax: 10_000,
      isOutage: true,
      begin: async () => disk.fill(),
      end: async () => {
        disk.clear();
        // A PostgreSQL that could not go on is started again, as whoever runs it does.
        if (!cluster.isAlive()) await cluster.start();
      },
    },
    run.scale === 'tiny'
      ? undefined
      : {
          name: 'PostgreSQL silent',
          holdMs: 40_000,
          readMsMax: 30_000,
          isOutage: true,
          begin: async () => proxy.silence(),
          end: async () => {
            await proxy.close();
            await proxy.open();
          },
        },
    run.scale !== 'full'
      ? undefined
      : {
          name: 'PostgreSQL stuck behind a lock',
          holdMs: 55_000,
          readMsMax: 30_000,
          isOutage: true,
          begin: async () => {
            locked = new pg.Client({ connectionString: cluster.url(database) });
            await locked.connect();
            await locked.query('begin; lock table chunks in access exclusive mode');
          },
          end: async () => locked?.end(),
        },
  ];
  return all.filter((trouble) => trouble !== undefined);
}

/** Every statement that inserts chunks takes half a second more. */
async function slowDown(admin: (statement: string) => Promise<unknown>): Promise<void> {
  await admin(`create or replace function slow() returns trigger language plpgsql as
    $$ begin perform pg_sleep(0.5); return null; end $$`);
  await admin('create trigger slow after insert on chunks for each statement execute function slow()');
}

/** Opens connections until there is no room, and ends those of the server so that it has to ask for new ones. */
async function takeAllConnections(cluster: Cluster, hogs: pg.Client[]): Promise<void> {
  const url = new URL(cluster.url(database));
  url.username = 'hog';
  const take = async () => {
    const hog = new pg.Client({ connectionString: url.href });
    hog.on('error', () => {});
    await hog.connect();
    hogs.push(hog);
  };
  for (let round = 0; round < 100; round++) {
    while ((await take().catch((error: { code?: string }) => error.code)) === undefined);
    const ended = await cluster.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'`,
      database,
    );
    if (ended.length === 0) return;
  }
  throw new Error('the server keeps getting connections');
}

async function setReadOnly(cluster: Cluster, value: string): Promise<void> {
  await cluster.query(`alter system set default_transaction_read_only = ${value}`);
  await cluster.query('select pg_reload_conf()');
}
