// the answer is swallowed after the commit, 1, 3 or 20 times, and the client sends the same again; after finalize too
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChunkRequest, openStream, prefixes, sendChunk } from '../support/chunks.ts';
import type { Client } from '../support/client.ts';
import { contentOf } from '../support/content.ts';
import { startHidingProxy } from '../support/hiding-proxy.ts';
import type { Run } from '../support/run.ts';
import { openEmbeddedSite } from '../support/servers.ts';

const writers = 16;
const graceSeconds = 3;
const chunksOfStream = 8;

interface Clients {
  /** Its requests arrive and its answers do not. */
  hidden: Client;
  plain: Client;
}

export async function hiddenAnswers(run: Run, builtFolder: string): Promise<void> {
  const wanted = run.size({ tiny: 100, small: 5_000, full: 100_000 });
  const site = await openEmbeddedSite(builtFolder, { FINALIZE_GRACE_SECONDS: String(graceSeconds) });
  try {
    await site.start();
    const proxy = await startHidingProxy(site.endpoint);
    const hidden = site.client({ endpoint: () => proxy.endpoint, keepAlive: false });
    const clients = { hidden, plain: site.client() };
    const endings: Promise<void>[] = [];
    const write = async (writer: number) => {
      while (proxy.hidden() < wanted) await writeStream(run, clients, `writer ${writer}`, endings);
    };
    await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
    await Promise.all(endings);
    run.fault('hidden answers', proxy.hidden());
    await proxy.close();
    await run.audit({ databaseUrl: await site.databaseUrl(), clients: [clients.plain] });
  } finally {
    await site.remove();
  }
}

/** One stream from its opening to its finalize; what follows after the grace goes to `endings`, so that nobody waits for it. */
async function writeStream(run: Run, clients: Clients, by: string, endings: Promise<void>[]): Promise<void> {
  const dataId = await openStream(clients.plain, run.random.pick(prefixes), 10);
  const totals = new Map<string, number>();
  const sent: ChunkRequest[] = [];
  for (let index = 0; index < chunksOfStream; index++) {
    const width = run.random.pick([1, 1, 3]);
    const request: ChunkRequest = {
      dataId,
      index,
      channels: Array.from({ length: width }, (_, i) => [`c${i}`, run.newContent()] as const),
      prefix: run.random.pick(prefixes),
    };
    sent.push(request);
    for (const [channel, content] of request.channels) add(totals, channel, contentOf(content).values.length);
    await hideThenSend(run, clients, by, request, totals);
  }
  await finalize(run, clients, dataId);
  // Within the grace an old one again, and a late one that is new.
  await hideThenSend(run, clients, by, run.random.pick(sent), totals);
  const late: ChunkRequest = {
    dataId,
    index: chunksOfStream,
    channels: [['late', run.newContent()]],
    prefix: prefixes[0],
  };
  await sendHidden(run, clients, by, late);
  await sendChunk(clients.plain, run.history, by, late);
  endings.push(afterGrace(run, clients, by, sent, totals));
}

async function afterGrace(
  run: Run,
  clients: Clients,
  by: string,
  sent: readonly ChunkRequest[],
  totals: ReadonlyMap<string, number>,
): Promise<void> {
  await sleep(graceSeconds * 1_000 + 100);
  await hideThenSend(run, clients, by, run.random.pick(sent), totals);
  const other = { ...run.random.pick(sent), index: 1_000, channels: [['c0', run.newContent()] as const] };
  await sendHidden(run, clients, by, other);
  const { answer, outcome } = await sendChunk(clients.plain, run.history, by, other);
  if (answer?.status !== 409 || outcome !== 'refused') {
    run.blame(other.dataId, `a new chunk after the grace is answered ${answer?.status} ${answer?.body}`);
  }
}

/** Sends without seeing the answer, again and again, then once more and looks at the answer: stored once, exact totals. */
async function hideThenSend(
  run: Run,
  clients: Clients,
  by: string,
  request: ChunkRequest,
  totals: ReadonlyMap<string, number>,
): Promise<void> {
  await sendHidden(run, clients, by, request);
  const seen = await sendChunk(clients.plain, run.history, by, { ...request, prefix: run.random.pick(prefixes) });
  for (const [channel] of request.channels) {
    const total = seen.totals.get(channel);
    if (total === totals.get(channel)) continue;
    const what = `total_points ${total} instead of ${totals.get(channel)}: ${seen.answer?.status} ${seen.answer?.body}`;
    run.blame(`${request.dataId} ${channel} ${request.index}`, what, run.history.tell({ ...request, channel }));
  }
}

async function sendHidden(run: Run, { hidden }: Clients, by: string, request: ChunkRequest): Promise<void> {
  const times = run.random.pick([1, 3, 20]);
  for (let i = 1; i <= times; i++) {
    const seen = await sendChunk(hidden, run.history, `${by}, hidden ${i}`, {
      ...request,
      prefix: run.random.pick(prefixes),
    });
    if (seen.answer !== undefined) run.blame(request.dataId, 'an answer came through the proxy that hides answers');
  }
}

/** Also a finalize whose answer is lost is sent again, and every time that it is seen it says the same. */
async function finalize(run: Run, { hidden, plain }: Clients, dataId: string): Promise<void> {
  const send = (client: Client) => {
    run.operation();
    return client.send('POST', `${run.random.pick(prefixes)}/${dataId}/finalize`);
  };
  await send(hidden).catch(() => {});
  const bodies = new Set<string>();
  for (const _ of [1, 2]) {
    const { status, body } = await send(plain);
    bodies.add(`${status} ${body}`);
  }
  const [only = ''] = bodies;
  if (bodies.size > 1 || !only.startsWith('200 ')) run.blame(dataId, `finalize is answered ${[...bodies].join(', ')}`);
}

function add(totals: Map<string, number>, channel: string, points: number): void {
  totals.set(channel, (totals.get(channel) ?? 0) + points);
}
