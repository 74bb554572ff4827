import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestServer } from './test-server.ts';

/** Begins a read over a socket and gives the answer back as soon as its head is there, not reading any further. */
export async function beginRead(address: string, path: string, key: string): Promise<http.IncomingMessage> {
  const request = http.get(`${address}${path}`, { headers: { 'x-api-key': key }, agent: false });
  const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
  return answer;
}

/** Everything that still comes, and whether the answer ended as it should. */
export async function readOn(answer: http.IncomingMessage): Promise<{ body: string; ended: boolean }> {
  const pieces: Buffer[] = [];
  answer.on('data', (piece: Buffer) => pieces.push(piece));
  answer.on('error', () => {});
  await new Promise((resolve) => answer.on('close', resolve));
  return { body: Buffer.concat(pieces).toString(), ended: answer.complete };
}

/** Waits until no statement has run for a while, and tells how many connections are in use then. */
export async function connectionsWhileWaiting({ database: { pool } }: TestServer): Promise<number> {
  let acquired = 0;
  const count = () => {
    acquired++;
  };
  pool.on('acquire', count);
  try {
    for (let rounds = 0; rounds < 50; rounds++) {
      acquired = 0;
      await sleep(150);
      if (acquired === 0) return pool.totalCount - pool.idleCount;
    }
    throw new Error('the server goes on reading for a client that does not');
  } finally {
    pool.off('acquire', count);
  }
}
