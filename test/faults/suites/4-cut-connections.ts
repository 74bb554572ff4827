// connections cut at every part of request and answer; clients that never read
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type ChunkRequest, chunkBody, chunkPath, openStream, prefixes, sendChunk } from '../support/chunks.ts';
import { residentMiB } from '../support/processes.ts';
import type { Run } from '../support/run.ts';
import { apiKey, type EmbeddedSite, openEmbeddedSite } from '../support/servers.ts';

const growth = { max: 100, unit: 'MiB' };
/** A reader holds one page of points and what the socket buffers, however long its answer is. */
const growthOfReader = 3;
const neighbour = { max: 2_000, unit: 'ms' };

export async function cutConnections(run: Run, builtFolder: string): Promise<void> {
  const site = await openEmbeddedSite(builtFolder);
  try {
    await site.start();
    const client = site.client();
    const dataId = await openStream(client, prefixes[0], 10);
    await cutRequests(run, site, dataId);
    await cutAnswers(run, site, dataId);
    await sleep(500);
    await run.audit({ databaseUrl: await site.databaseUrl(), clients: [client] });
    await neverRead(run, site);
    await neverReadReceipts(run, site, dataId);
    await run.audit({ databaseUrl: await site.databaseUrl(), clients: [client] });
  } finally {
    await site.remove();
  }
}

function wire(request: ChunkRequest): Buffer {
  const body = Buffer.from(chunkBody(request));
  const head =
    `POST ${chunkPath(request)} HTTP/1.1\r\nHost: faults\r\nX-API-KEY: ${apiKey}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

function newRequest(run: Run, dataId: string, index: number): ChunkRequest {
  const width = run.random.pick([1, 1, 3]);
  const channels = Array.from({ length: width }, (_, i) => [`c${i}`, run.newContent()] as const);
  return { dataId, index, channels, prefix: run.random.pick(prefixes) };
}

const writesOf = ({ dataId, index, channels }: ChunkRequest) =>
  channels.map(([channel, content]) => ({ dataId, channel, index, content }));

/** Offsets of a text that are cut at: all of them, or some that a seed chooses and both ends. */
function offsets(run: Run, length: number, count: number): number[] {
  if (count >= length) return Array.from({ length }, (_, i) => i);
  return [0, 1, length - 1, ...Array.from({ length: count }, () => run.random.integer(1, length - 1))];
}

/** A request that did not arrive whole changes nothing. */
async function cutRequests(run: Run, { endpoint }: EmbeddedSite, dataId: string): Promise<void> {
  const cuts = run.size({ tiny: 40, small: 300, full: 5_000 });
  const length = wire(newRequest(run, dataId, 0)).length;
  for (const [i, offset] of offsets(run, length, cuts).entries()) {
    const request = newRequest(run, dataId, i);
    const bytes = wire(request);
    const at = Math.min(offset, bytes.length - 1);
    const attempt = run.history.begin('a cut request', writesOf(request));
    const socket = await open(endpoint);
    await new Promise<void>((resolve) => socket.write(bytes.subarray(0, at), () => resolve()));
    if (run.random.chance(0.5)) await sleep(run.random.integer(0, 5));
    if (i % 2 === 0) socket.resetAndDestroy();
    else socket.end();
    run.fault('requests cut');
    run.history.end(attempt, 'refused', `cut after ${at} of ${bytes.length} bytes`);
    if (i % 2 === 1) setTimeout(() => socket.destroy(), 50);
  }
}

/** Whoever has read one byte of an answer may rely on the commit, and no cut harms anyone else. */
async function cutAnswers(run: Run, { endpoint }: EmbeddedSite, dataId: string): Promise<void> {
  const cuts = run.size({ tiny: 20, small: 150, full: 2_000 });
  for (let i = 0; i < cuts; i++) {
    const request = newRequest(run, dataId, 10_000 + i);
    const wanted = run.random.pick([0, 1, 2, 15, run.random.integer(1, 400)]);
    const attempt = run.history.begin('a client that cuts the answer', writesOf(request));
    const socket = await open(endpoint);
    socket.write(wire(request));
    const read = wanted === 0 ? '' : await readSome(socket, wanted);
    socket.resetAndDestroy();
    run.fault('answers cut');
    const seen = read.slice(0, 12);
    if (!'HTTP/1.1 201'.startsWith(seen)) run.blame(`${dataId} ${request.index}`, `answered ${read}`);
    run.history.end(attempt, read === '' ? 'unknown' : 'stored', `${seen} and no more was read`);
  }
}

async function readSome(socket: Socket, bytes: number): Promise<string> {
  let text = '';
  const late = AbortSignal.timeout(30_000);
  while (text.length < bytes && !late.aborted) {
    const piece = socket.read(Math.min(bytes - text.length, Math.max(1, socket.readableLength))) as Buffer | null;
    if (piece !== null) text += piece.toString('latin1');
    else if (text.includes('\r\n\r\n') && text.endsWith(']')) break;
    else if (text.includes('\r\n\r\n') && text.endsWith('}')) break;
    else await sleep(1);
  }
  return text;
}

/** Clients that ask for a large answer and read nothing hold neither memory nor connections of the database. */
async function neverRead(run: Run, site: EmbeddedSite): Promise<void> {
  const dataId = await fillStream(run, site);
  const readers = run.size({ tiny: 5, small: 20, full: 100 });
  const { pid } = site.server().child;
  const before = residentMiB(pid as number);
  const sockets = await Promise.all(Array.from({ length: readers }, () => open(site.endpoint)));
  for (const [i, socket] of sockets.entries()) {
    socket.pause();
    const path = i % 2 === 0 ? `points/?channel=large` : 'timeseries/';
    socket.write(`GET /metrology/${dataId}/${path} HTTP/1.1\r\nHost: faults\r\nX-API-KEY: ${apiKey}\r\n\r\n`);
  }
  run.fault('clients that never read', readers);
  await sleep(3_000);
  await measureNeighbour(run, site, 'clients that never read, a chunk of another client');
  run.measure('clients that never read, memory above that before', residentMiB(pid as number) - before, {
    max: growth.max + growthOfReader * readers,
    unit: 'MiB',
  });
  run.measure('clients that never read, database connections that they hold', await busyConnections(site), {
    max: 0,
    unit: '',
  });
  for (const socket of sockets) socket.destroy();
}

async function fillStream(run: Run, site: EmbeddedSite): Promise<string> {
  const client = site.client();
  const dataId = await openStream(client, prefixes[1], 50_000);
  const chunks = run.size({ tiny: 4, small: 10, full: 100 });
  for (let index = 0; index < chunks; index++) {
    const times = Array.from({ length: 50_000 }, (_, i) => 1_700_000_000 + (index * 50_000 + i) / 10);
    const readings = { timestamps: times, values: times.map((time) => Math.sin(time)) };
    const body = JSON.stringify({ data_id: dataId, chunk_index: index, channel_name: 'large', ...readings });
    run.operation();
    const { status } = await client.send('POST', `${prefixes[1]}/chunk`, body);
    if (status !== 201) run.blame(dataId, `a large chunk is answered ${status}`);
  }
  return dataId;
}

/** A client that sends request after request and reads no receipt is held back, not buffered for. */
async function neverReadReceipts(run: Run, site: EmbeddedSite, dataId: string): Promise<void> {
  const request = newRequest(run, dataId, 20_000);
  await sendChunk(site.client(), run.history, 'the first', request);
  const { pid } = site.server().child;
  const before = residentMiB(pid as number);
  const bytes = Buffer.concat(Array.from({ length: 500 }, () => wire(request)));
  const socket = await open(site.endpoint);
  socket.pause();
  const until = performance.now() + run.size({ tiny: 1_000, small: 4_000, full: 60_000 });
  let sent = 0;
  while (performance.now() < until && !socket.destroyed) {
    const written = new Promise<boolean>((resolve) => socket.write(bytes, () => resolve(true)));
    const isWritten = await Promise.race([written, sleep(500, false)]);
    if (!isWritten) break;
    sent += 500;
  }
  run.fault('requests of a client that reads no answer', sent);
  await measureNeighbour(run, site, 'a client that reads no answer, a chunk of another client');
  run.measure('a client that reads no answer, memory above that before', residentMiB(pid as number) - before, growth);
  socket.destroy();
}

async function measureNeighbour(run: Run, site: EmbeddedSite, name: string): Promise<void> {
  const client = site.client();
  const dataId = await openStream(client, prefixes[2], 10);
  for (let index = 0; index < 20; index++) {
    const sent = await sendChunk(client, run.history, 'another client', newRequest(run, dataId, index));
    if (sent.outcome !== 'stored') run.blame(dataId, `answered ${sent.answer?.status ?? sent.failure?.message}`);
    run.measure(name, sent.answer?.ms ?? 0, neighbour);
  }
  client.close();
}

/** Connections of the server that run a statement or sit in a transaction. */
/** Connections that stay busy; the first statements of a hundred reads, and the server's own, may still run for a moment. */
async function busyConnections(site: EmbeddedSite): Promise<number> {
  const database = new pg.Client({ connectionString: await site.databaseUrl() });
  await database.connect();
  const deadline = performance.now() + 10_000;
  for (;;) {
    const { rows } = await database.query<{ busy: number }>(
      `select count(*)::int as busy from pg_stat_activity
       where application_name = 'metrology-server' and state <> 'idle'`,
    );
    const busy = rows[0]?.busy as number;
    if (busy === 0 || performance.now() > deadline) {
      await database.end();
      return busy;
    }
    await sleep(200);
  }
}

function open(endpoint: string): Promise<Socket> {
  const { port } = new URL(endpoint);
  return new Promise((resolve, reject) => {
    const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true });
    socket.on('error', () => {});
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}
