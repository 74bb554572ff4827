import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createConnections } from '../../src/http/connections.ts';
import { httpLimits } from '../../src/http/limits.ts';
import { createReadingPace } from '../../src/http/reading-pace.ts';

type Served = Socket & { parser?: { _consumed: boolean } | null };

/** A server below any app. Keys that begin with "lab" are known. */
async function open(limits: Partial<typeof httpLimits> = {}) {
  const connections = createConnections({
    server: {},
    limits: { ...httpLimits, connectionsMax: 10_000, ...limits },
    pace: createReadingPace(1e6),
    organizationOf: (key) => (key.startsWith('lab') ? key : undefined),
  });
  const bodies: string[] = [];
  /** Requests that were parsed, by turn of the event loop. */
  const perTurn: number[] = [];
  let turn: NodeJS.Immediate | undefined;
  const count = () => {
    turn ??= setImmediate(() => {
      turn = undefined;
    });
    if (turn !== lastTurn) perTurn.push(0);
    lastTurn = turn;
    perTurn[perTurn.length - 1] = (perTurn.at(-1) as number) + 1;
  };
  let lastTurn: NodeJS.Immediate | undefined;
  const server = connections.createServer(async (request, response) => {
    count();
    let text = '';
    for await (const part of request as IncomingMessage) text += part;
    bodies.push(text);
    response.end('x');
  });
  const sockets: Served[] = [];
  server.on('connection', (socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const dial = async () => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    await expect.poll(() => sockets.some(({ remotePort }) => remotePort === socket.localPort)).toBe(true);
    const served = sockets.find(({ remotePort }) => remotePort === socket.localPort) as Served;
    let text = '';
    socket.setEncoding('latin1').on('data', (part) => {
      text += part;
    });
    socket.on('error', () => {});
    const answers = () => text.split('HTTP/1.1 200').length - 1;
    return { socket, served, answers };
  };
  return { dial, bodies, perTurn };
}

const post = (key: string, body = '') =>
  `POST / HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
/** A head of 60 kB without an end. */
const endless = `GET / HTTP/1.1\r\nHost: a\r\n${'X-A: 1\r\n'.repeat(7_500)}`;

test('a connection that sends nothing is never touched, however many heads others send', async () => {
  const { dial } = await open();
  const idle = await Promise.all(Array.from({ length: 20 }, dial));
  const touched = idle.flatMap(({ served }) => [vi.spyOn(served, 'pause'), vi.spyOn(served, 'resume')]);
  const busy = await Promise.all(Array.from({ length: 20 }, dial));
  for (const { socket } of busy) socket.write(endless);
  await expect.poll(() => busy.every(({ served }) => served.bytesRead === endless.length)).toBe(true);
  for (const { socket } of busy) socket.write(`\r\n${post('lab').repeat(900)}`);
  await sleep(200);
  for (const spy of touched) expect(spy).not.toHaveBeenCalled();
});

test('strangersReadMsPerTurn bounds what is parsed in a turn of what strangers send, and nothing of it is lost', async () => {
  const { dial, bodies, perTurn } = await open({ strangersReadMsPerTurn: 1e-9, strangersPerTurnMax: 100 });
  const clients = await Promise.all(Array.from({ length: 10 }, dial));
  for (const [i, { socket }] of clients.entries()) {
    socket.write(post('nobody', `${i} first`));
    socket.write(post('nobody', `${i} second`));
  }
  await expect.poll(() => clients.map(({ answers }) => answers())).toEqual(clients.map(() => 2));
  // A read brings one request or two, and a count may take in the end of one turn and the begin of the next. It was 20.
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(4);
  expect(bodies.toSorted()).toEqual(clients.flatMap((_, i) => [`${i} first`, `${i} second`]).toSorted());
});

test('a large body whose sender must wait for every read arrives as it was sent, on one connection with others', async () => {
  const { dial, bodies } = await open({ strangersReadMsPerTurn: 1e-9, knownReadMsPerTurn: 1e-9 });
  const body = Array.from({ length: 100_000 }, (_, i) => `${i}`).join();
  for (const key of ['nobody', 'lab']) {
    const { socket, answers } = await dial();
    socket.write(post(key, body) + post(key, 'and this') + post(key, body));
    await expect.poll(answers, { timeout: 10_000 }).toBe(3);
    expect(bodies.splice(0)).toEqual([body, 'and this', body]);
  }
});

test('who has a known key does not wait behind strangers, not with the first request of a connection either', async () => {
  const { dial, bodies } = await open({ strangersReadMsPerTurn: 1e-9 });
  const strangers = await Promise.all(Array.from({ length: 30 }, dial));
  const { socket, answers } = await dial();
  for (const stranger of strangers) stranger.socket.write(post('nobody', 'stranger'));
  socket.write(post('lab', 'known'));
  await expect.poll(answers).toBe(1);
  await expect.poll(() => bodies.length).toBe(31);
  expect(bodies.indexOf('known')).toBeLessThan(20);
});

test('a kept connection of a known key is given back to the parser, of up to directConnectionsMax', async () => {
  const { dial } = await open({ directConnectionsMax: 1 });
  const all = [await dial(), await dial()] as const;
  for (const { served } of all) expect(served.parser?._consumed).toBe(false);
  for (let i = 1; i <= 3; i++) {
    for (const { socket, answers } of all) {
      socket.write(post('lab', `request ${i}`));
      await expect.poll(answers).toBe(i);
    }
    expect(all.map(({ served }) => served.parser?._consumed)).toEqual([i > 1, false]);
  }
  const [first, second] = all;
  first.socket.end();
  await once(first.served, 'close');
  second.socket.write(post('lab'));
  await expect.poll(second.answers).toBe(4);
  expect(second.served.parser?._consumed).toBe(true);
});

test('beyond waitingReadBytesMax strangers are not read until half of it is left, and all are answered', async () => {
  const { dial } = await open({ strangersReadMsPerTurn: 1e-9, waitingReadBytesMax: 1_000, resumedPerTurnMax: 2 });
  const clients = await Promise.all(Array.from({ length: 40 }, dial));
  const stopped = clients.map(({ served }) => vi.spyOn(served, 'pause'));
  const known = await dial();
  known.socket.write(post('lab'));
  await expect.poll(known.answers).toBe(1);
  for (const { socket } of clients) socket.write(post('nobody', 'x'.repeat(400)));
  await expect.poll(() => clients.filter(({ answers }) => answers() === 1).length).toBe(40);
  expect(stopped.some(({ mock }) => mock.calls.length > 0)).toBe(true);
});

test('what still waits when its connection breaks off is dropped', async () => {
  const { dial, bodies } = await open({ strangersReadMsPerTurn: 1e-9 });
  const clients = await Promise.all(Array.from({ length: 20 }, dial));
  for (const { socket } of clients) socket.write(post('nobody'));
  for (const { served } of clients) served.once('data', () => {});
  for (const { socket } of clients.slice(10)) socket.resetAndDestroy();
  await expect.poll(() => bodies.length).toBeGreaterThanOrEqual(10);
  const { socket, answers } = await dial();
  socket.write(post('nobody'));
  await expect.poll(answers).toBe(1);
});
