import { expect, inject, test } from 'vitest';
import { openStream } from '../faults/support/chunks.ts';
import type { Client } from '../faults/support/client.ts';
import { openSite } from '../faults/support/servers.ts';
import { type Cluster, openCluster, query } from './support/cluster.ts';

const alternations = 5;
const chunksOfTurn = 200;
const points = 100;

/* What a synchronous replica costs: the same chunks with and without one, in turns on one cluster. `--cost` runs it alone. */
test('latency of a chunk, with and without a synchronous replica', async () => {
  const cluster = await openCluster();
  const site = await openSite(inject('builtFolder'), {
    DATABASE_URL: cluster.url('app'),
    MIGRATION_DATABASE_URL: cluster.url('owner'),
  });
  const client = site.client();
  const latencies = new Map<string, number[]>();
  try {
    await site.start();
    const dataId = await openStream(client, '/tool-state/stream', points);
    let index = 0;
    for (let turn = 0; turn < alternations * 2; turn++) {
      const isSynchronous = turn % 2 === 0;
      await setSynchronous(cluster, isSynchronous);
      for (const writers of [1, 12]) {
        const name = `${isSynchronous ? 'synchronous' : 'no synchronous'} replica, ${writers} at once`;
        const all = latencies.get(name) ?? [];
        latencies.set(name, all);
        const from = index;
        index += chunksOfTurn;
        all.push(...(await send(client, dataId, from, writers)));
      }
    }
  } finally {
    client.close();
    await site.stop();
    await cluster.remove();
    for (const [name, all] of latencies) console.info(`${name}: ${told(all)}`);
  }
  expect([...latencies.values()].every((all) => all.length === alternations * chunksOfTurn)).toBe(true);
});

async function setSynchronous(cluster: Cluster, isOn: boolean): Promise<void> {
  await cluster.configure({ synchronous_mode: isOn });
  const names = async () =>
    String((await query(cluster.url('superuser'), 'show synchronous_standby_names'))[0]?.synchronous_standby_names);
  await expect.poll(async () => (await names()) !== '', { timeout: 60_000 }).toBe(isOn);
}

/** @returns ms of each chunk */
async function send(client: Client, dataId: string, from: number, writers: number): Promise<number[]> {
  const latencies: number[] = [];
  let next = from;
  const write = async () => {
    while (next < from + chunksOfTurn) {
      const { status, ms } = await client.send('POST', '/tool-state/stream/chunk', bodyOf(dataId, next++));
      if (status !== 201) throw new Error(`a chunk is answered ${status}`);
      latencies.push(ms);
    }
  };
  await Promise.all(Array.from({ length: writers }, write));
  return latencies;
}

function bodyOf(dataId: string, index: number): string {
  const timestamps = Array.from({ length: points }, (_, i) => 1_700_000_000 + index * 10 + i / 10);
  return JSON.stringify({
    data_id: dataId,
    chunk_index: index,
    channel_name: 'p',
    timestamps,
    values: timestamps.map(Math.sin),
  });
}

function told(latencies: readonly number[]): string {
  const sorted = latencies.toSorted((one, other) => one - other);
  const at = (share: number) => (sorted[Math.floor(sorted.length * share)] as number).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (${sorted.length} chunks)`;
}
