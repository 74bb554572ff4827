import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { TestServer } from './test-server.ts';

/** Begins a read over a socket and gives the answer back as soon as its head is there, not reading any further. */
export async function beginRead(address: string, path: string, key: string): Promise<http.IncomingMessage> {
  const request = http.get(`${address}${path}`, { headers: { 'x-api-key': key }, agent: false });
  const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
  return answer;
}

/** Everything that still comes, and whether the answer ended as it should. */
export async function readOn(answer: http.IncomingMessage): Promise<{ body: Buffer; ended: boolean }> {
  const pieces: Buffer[] = [];
  answer.on('data', (piece: Buffer) => pieces.push(piece));
  answer.on('error', () => {});
  await new Promise((resolve) => answer.on('close', resolve));
  return { body: Buffer.concat(pieces), ended: answer.complete };
}

/** Waits until the server rests, and tells how many connections are in use then: those that it keeps for 7 s. */
export async function connectionsWhileWaiting(server: TestServer): Promise<number> {
  const pool = server.database.pools.general;
  const inUse = () => pool.totalCount - pool.idleCount;
  let acquired = 0;
  for (let rounds = 0; rounds < 50; rounds++) {
    acquired = await acquiredWhile(server, () => sleep(150));
    // One that is in use may belong to a statement that still runs.
    if (acquired === 0 && inUse() === 0) return 0;
  }
  if (acquired > 0) throw new Error('the server goes on reading for a client that does not');
  return inUse();
}

/** How often the server takes a connection from its pool meanwhile. */
export async function acquiredWhile({ database }: TestServer, work: () => Promise<unknown>): Promise<number> {
  const pool = database.pools.general as pg.Pool;
  let acquired = 0;
  const count = () => {
    acquired++;
  };
  pool.on('acquire', count);
  try {
    await work();
  } finally {
    pool.off('acquire', count);
  }
  return acquired;
}

/** Sessions of PostgreSQL that run a statement or are in a transaction, as PostgreSQL sees it. */
export async function busySessions({ owner: { pool } }: TestServer): Promise<number> {
  const { rows } = await pool.query(
    `select count(*)::int as busy from pg_stat_activity
     where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
       and state <> 'idle'`,
  );
  return rows[0].busy;
}
