import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { checkModel, type Real } from './suites/8-model.ts';
import { openStream, sendChunk } from './support/chunks.ts';
import { type Client, createClient } from './support/client.ts';
import { contentOf } from './support/content.ts';
import { startHidingProxy } from './support/hiding-proxy.ts';
import { startLoad } from './support/load.ts';
import { createRun, tellViolations } from './support/run.ts';

/* What of the fault tests takes no process of its own, on a small scale; `npm run test:faults` runs the rest. */

const seed = 20_260_131;
let server: TestServer;
let endpoint: string;
let client: Client;
beforeAll(async () => {
  server = await startTestServer();
  endpoint = await server.app.listen({ host: '127.0.0.1', port: 0 });
  client = createClient({ endpoint: () => endpoint, key: server.keys.ada });
});
afterAll(async () => {
  client?.close();
  await server?.close();
});

test('what a load of writers has sent stands, and the report says how much it was', async () => {
  const run = createRun(seed, 'tiny');
  const load = await startLoad(run, { clients: [client], writers: 6, streams: 2 });
  await load.untilStored();
  await sleep(300);
  await load.stop();
  const { chunks } = await run.audit({ databaseUrl: server.databaseUrl, clients: [client] });
  expect(tellViolations(run.violations())).toBe('');
  expect(chunks).toBeGreaterThan(6);
  expect(run.report()).toMatch(/^seed 20260131: [\d,]+ operations, [\d,]+ chunks audited, 0 violations/);
});

test('a chunk whose answers are all hidden is stored once', async () => {
  const run = createRun(seed, 'tiny');
  const proxy = await startHidingProxy(endpoint);
  const hidden = createClient({ endpoint: () => proxy.endpoint, key: server.keys.ada, keepAlive: false });
  const dataId = await openStream(client, '/tool-state/stream', 10);
  const request = {
    dataId,
    index: 0,
    channels: [['p', run.newContent()] as const],
    prefix: '/metrology/stream' as const,
  };
  for (const _ of [1, 2, 3]) {
    expect(await sendChunk(hidden, run.history, 'hidden', request)).toMatchObject({
      outcome: 'unknown',
      answer: undefined,
    });
  }
  expect(proxy.hidden()).toBe(3);
  // It stands although nobody was told so.
  expect(run.history.allowed({ dataId, channel: 'p', index: 0 })).toEqual({ contents: new Set([0]), absent: true });
  const { totals } = await sendChunk(client, run.history, 'seen', request);
  expect(totals.get('p')).toBe(contentOf(0).values.length);
  await run.audit({ databaseUrl: server.databaseUrl, clients: [client] });
  expect(tellViolations(run.violations())).toBe('');
  await proxy.close();
});

test('a violation makes the report and tells the history', async () => {
  const run = createRun(seed, 'tiny');
  const dataId = await openStream(client, '/tool-state/stream', 10);
  const request = {
    dataId,
    index: 0,
    channels: [['p', run.newContent()] as const],
    prefix: '/metrology/stream' as const,
  };
  await sendChunk(client, run.history, 'writer 5', request);
  await server.owner.pool.query('delete from chunks where data_id = $1', [dataId]);
  await run.audit({ databaseUrl: server.databaseUrl, clients: [] });
  run.measure('SIGTERM, to its end', 12_000, { max: 10_000, unit: 'ms' });
  expect(run.report()).toContain(', 3 violations');
  expect(tellViolations(run.violations())).toMatch(
    /chunk 0: an acknowledged chunk is missing\n {4}from [\d.]+ ms to [\d.]+ by writer 5: content 0, stored: 201 /,
  );
  expect(tellViolations(run.violations())).toContain('SIGTERM, to its end: 12,000 ms, at most 10,000 ms are allowed');
});

const real = (send: Client['send']): Real => ({
  send,
  open: (prefix, pointsPerChunk) => openStream(client, prefix, pointsPerChunk),
});

test('random sequences leave what the model says', async () => {
  expect(await checkModel(real(client.send), seed, { numRuns: 5 })).toBeUndefined();
});

test('the model finds a server that drops a replacement and one that rounds', async () => {
  const sent = new Set<string>();
  const forgetful = real(async (method, path, body) => {
    const address = /"data_id":"(.+?)","chunk_index":3,"channel_name":"p"/.exec(body ?? '')?.[1];
    if (address === undefined) return client.send(method, path, body);
    const isNew = !sent.has(address);
    sent.add(address);
    if (isNew) return client.send(method, path, body);
    const receipt = { channel_name: 'p', total_points: 1 };
    return { status: 201, headers: {}, body: JSON.stringify(receipt), ms: 0 };
  });
  expect(await checkModel(forgetful, seed, { endOnFailure: true })).toMatch(
    /total points|values|length|point_count|chunks/,
  );
  const rounding = real(async (method, path, body) => {
    const answer = await client.send(method, path, body);
    return { ...answer, body: answer.body.replaceAll('-0.0', '0.0') };
  });
  expect(await checkModel(rounding, seed, { endOnFailure: true })).toMatch(
    /^values\[\d+\] of chunk \d+: 0 instead of -0\n/,
  );
});
