import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import pg from 'pg';
import { inject } from 'vitest';
import type { TestServer } from '../../support/test-server.ts';

/** The port of the node that has a stream. */
export async function nodeOf({ owner }: TestServer, dataId: string): Promise<number> {
  const { rows } = await owner.pool.query<{ port: number }>(
    `select nodeport as port from pg_dist_shard_placement
     where shardid = get_shard_id_for_distribution_column('streams', $1::uuid)`,
    [dataId],
  );
  return (rows[0] as { port: number }).port;
}

export const workerOf = (port: number): string => {
  const url = inject('workerUrls').find((one) => new URL(one).port === String(port));
  if (url === undefined) throw new Error(`no worker has the port ${port}`);
  return url;
};

export async function askNode<Row extends pg.QueryResultRow>(url: string, statement: string): Promise<Row[]> {
  const client = new pg.Client(url);
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Row>(statement)).rows;
  } finally {
    await client.end();
  }
}

/** Kills all processes of a node at once. @returns a function that starts it again and waits until it takes connections */
export async function killNode(port: number): Promise<() => Promise<void>> {
  const url = workerOf(port);
  const [folder] = await askNode<{ setting: string }>(url, `select current_setting('data_directory') as setting`);
  const pid = Number(readFileSync(`${folder?.setting}/postmaster.pid`, 'utf8').split('\n')[0]);
  const program = readlinkSync(`/proc/${pid}/exe`);
  const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, -1);
  const { uid, gid } = statSync(`/proc/${pid}`);
  for (const one of [pid, ...childrenOf(pid)]) killUnlessGone(one);
  return async () => {
    for (let tries = 0; tries < 300; tries++) {
      spawn(program, args, { uid, gid, cwd: '/', detached: true, stdio: 'ignore' }).unref();
      await new Promise((resolve) => setTimeout(resolve, 500));
      const isThere = await askNode(url, 'select 1').then(
        () => true,
        () => false,
      );
      if (isThere) return;
    }
    throw new Error('the node does not start again');
  };
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => {
      try {
        return new RegExp(`^PPid:\\t${pid}$`, 'm').test(readFileSync(`/proc/${one}/status`, 'utf8'));
      } catch {
        return false;
      }
    });
}

/** Sessions of the node end at any time. */
function killUnlessGone(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
