import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Bench, chunkOf, openStream, type Stubbed, storedChunks } from './bench.ts';
import type { Engine } from './proxies.ts';
import { type Caller, caller, readWhole } from './requests.ts';
import { lateMs, pauseMs } from './stub-upstream.ts';

const pushers = 8;
const runMs = 1_000;

/** What a client sees when the server is slow, breaks off, or is started again behind the proxy. */
export function describeInterruptions(engine: Engine, bench: Bench, stubbed: Stubbed): void {
  describe(`interruptions behind ${engine}`, () => {
    test('an answer is passed on as it comes', async () => {
      const message = await stubbed.client.open({ path: '/pieces' });
      const arrivals: { text: string; at: number }[] = [];
      for await (const part of message) arrivals.push({ text: String(part), at: performance.now() });
      expect(arrivals.map(({ text }) => text)).toEqual(['first', 'second']);
      expect((arrivals[1]?.at ?? 0) - (arrivals[0]?.at ?? 0)).toBeGreaterThan(pauseMs / 2);
    });

    test('events are passed on as they come, and end in order with the server', async () => {
      const dataId = await openStream(bench.http);
      for (const path of [`/metrology/${dataId}/live`, `/lab/live?data_id=${dataId}`]) {
        const message = await bench.https.open({ path });
        expect(message.headers['content-type']).toContain('text/event-stream');
        const parts = message.setEncoding('utf8')[Symbol.asyncIterator]();
        expect(String((await parts.next()).value)).toContain('event: channels');
        const body = chunkOf(dataId, path.length);
        expect((await bench.http.send({ path: '/tool-state/stream/chunk', body })).status).toBe(201);
        expect(String((await parts.next()).value)).toContain(`"last_chunk_index":${path.length}`);
        message.destroy();
      }
      const followed = await bench.http.open({ path: `/metrology/${dataId}/live` });
      const whole = readWhole(followed);
      await bench.restart('SIGTERM');
      expect(await whole).toMatch(/retry: 2000\n\n$/);
    });

    test('an answer that was cut is not passed off as a whole one', async () => {
      for (const path of ['/cut', '/cut-length']) await expect(stubbed.client.send({ path }), path).rejects.toThrow();
    });

    test('a chunk that meets a closed kept connection is sent again; what may not be sent twice is not', async () => {
      const one = caller(stubbed.proxy.http);
      for (const path of [
        '/tool-state/stream/chunk',
        '/lab//metrology/stream/chunk/multi',
        '/metrology/stream/x/finalize/',
      ]) {
        const from = stubbed.stub.received.length;
        const bodies = Array.from({ length: 10 }, (_, index) => `${path} ${index}`);
        for (const body of bodies) expect((await one.send({ path, body, bodyAfterMs: 5 })).status, body).toBe(201);
        const arrived = stubbed.stub.received.slice(from);
        expect(new Set(arrived)).toEqual(new Set(bodies));
        expect(arrived.length).toBeGreaterThan(bodies.length);
      }
      const from = stubbed.stub.received.length;
      const bodies = Array.from({ length: 10 }, (_, index) => `initialize ${index}`);
      // Its failure may be a 502 or a closed connection.
      for (const body of bodies) await one.send({ path: '/tool-state/stream/initialize', body }).catch(() => undefined);
      expect(stubbed.stub.received.slice(from)).toEqual(bodies);
      one.close();
    });

    test('a server started again, in order and after a kill: nothing acknowledged is lost, nothing is stored twice', async () => {
      const dataId = await openStream(bench.http);
      const pushing = startPushing(bench.http, dataId);
      await sleep(runMs);
      await bench.restart('SIGTERM');
      await sleep(runMs);
      const inOrder = [...pushing.failures];
      await bench.restart('SIGKILL');
      await sleep(runMs);
      const acknowledged = await pushing.stop();
      const counts = { inOrder: tally(inOrder), afterKill: tally(pushing.failures.slice(inOrder.length)) };
      console.info(
        `${engine}: ${acknowledged.length} acknowledged over two restarts, sent again: ${JSON.stringify(counts)}`,
      );
      expect(acknowledged.length).toBeGreaterThan(100);
      const stored = await storedChunks(bench, dataId);
      expect(stored).toEqual(acknowledged.sort((a, b) => a - b).map((index) => [index, [index + 0.5]]));
      if (engine === 'nginx') return;
      // HAProxy lets requests wait for the server, which has answered what it had taken. A connection that waits in the kernel
      // at the very end is cut, at most one of each pusher; after a kill what was under way fails too.
      expect(inOrder.filter((failure) => failure !== 'socket hang up')).toEqual([]);
      expect(inOrder.length).toBeLessThanOrEqual(pushers);
      expect(pushing.failures.length - inOrder.length).toBeLessThanOrEqual(2 * pushers);
    });

    test('a read that the end of the server cuts is an error for its client', async () => {
      const dataId = await openStream(bench.http, 50_000);
      // It stands in every row of the file, which is then longer than all that can be on its way to a client that does not read.
      const channel = 'p'.repeat(255);
      const timestamps = Array.from({ length: 50_000 }, (_, i) => 1_700_000_000 + i);
      const chunks = Math.ceil((2 * (await bytesOnTheWayMax())) / (timestamps.length * channel.length));
      for (let index = 0; index < chunks; index++) {
        const body = { ...chunkOf(dataId, index), channel_name: channel, timestamps, values: timestamps };
        expect((await bench.http.send({ path: '/tool-state/stream/chunk', body })).status).toBe(201);
      }
      const message = await bench.http.open({ path: `/exports/${dataId}/` });
      expect(message.statusCode).toBe(200);
      await bench.restart('SIGKILL');
      await expect(readWhole(message)).rejects.toThrow();
    });

    test('the proxy waits for an answer that takes nearly 30 s', { timeout: lateMs + 20_000 }, async () => {
      expect(await stubbed.late).toMatchObject({ status: 200, text: 'late' });
    });
  });
}

/** What the kernel holds at most between the server, the proxy and the client, in bytes. */
async function bytesOnTheWayMax(): Promise<number> {
  const maxima = await Promise.all(
    ['tcp_wmem', 'tcp_rmem'].map(async (name) => {
      const [, , max] = (await readFile(`/proc/sys/net/ipv4/${name}`, 'utf8')).trim().split(/\s+/);
      return Number(max);
    }),
  );
  return 2 * maxima.reduce((sum, max) => sum + max);
}

/** Pushes chunks one after the other from several connections, each until it is acknowledged. */
function startPushing(client: Caller, dataId: string) {
  const acknowledged: number[] = [];
  const failures: string[] = [];
  let isOver = false;
  let next = 0;
  const pusher = async () => {
    while (!isOver) {
      const index = next++;
      const giveUpAt = performance.now() + 30_000;
      for (;;) {
        const outcome = await client
          .send({ path: '/lab/tool-state/stream/chunk', body: chunkOf(dataId, index) })
          .then(({ status }) => String(status))
          .catch((error: Error) => error.message);
        if (outcome === '201') break;
        if (performance.now() > giveUpAt) throw new Error(`chunk ${index} failed for 30 s: ${outcome}`);
        failures.push(outcome);
        await sleep(100);
      }
      acknowledged.push(index);
    }
  };
  const all = Promise.all(Array.from({ length: pushers }, pusher));
  all.catch(() => undefined);
  return {
    failures,
    async stop() {
      isOver = true;
      await all;
      return acknowledged;
    },
  };
}

function tally(outcomes: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}
