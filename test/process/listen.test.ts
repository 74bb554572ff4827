import { Agent, createServer, type RequestListener, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import Fastify from 'fastify';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import type { App } from '../../src/http/app-type.ts';
import { refuseUnlessReady } from '../../src/http/refuse-unready.ts';
import { watchReplica } from '../../src/http/replica-reads.ts';
import { processLimits } from '../../src/process/limits.ts';
import { type Front, listen } from '../../src/process/listen.ts';
import { openSockets } from '../../src/process/sockets.ts';

/* How connections end, in this process. The socket is held open beside, as systemd does it. */

/** What a service does that is told to end. */
let endsWait = () => {};
afterEach(() => {
  endsWait = () => {};
});

async function start(
  limits = {},
  onClose = async () => {},
  extend: (app: App) => void = () => {},
): Promise<{ app: App; front: Front; port: number; answer: () => void }> {
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  // As the app is made: Fastify does not wait for the requests of a server that it was given.
  const serverFactory = (listener: RequestListener) => createServer(listener);
  const app = Fastify({ return503OnClosing: false, serverFactory }) as unknown as App;
  app.addHook('preClose', async () => endsWait());
  app.addHook('onClose', onClose);
  app.get('/quick', async () => 'quick');
  app.get('/slow', () => answered.then(() => 'slow'));
  extend(app);
  const log = pino({ level: 'silent' });
  const sockets = await openSockets({ HOST: '127.0.0.1', PORT: 0 }, {}, log, 0);
  onTestFinished(() => sockets.close());
  const front = await listen(app, sockets.descriptors, { ...processLimits, ...limits });
  return { app, front, port: (app.server.address() as { port: number }).port, answer };
}

function get(port: number, path: string, agent: Agent): Promise<{ connection: string | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path, agent }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      answer.on('end', () => resolve({ connection: answer.headers.connection, text }));
    });
    sent.on('error', reject).end();
  });
}

function keepingAgent(): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  return agent;
}

test('a kept connection is closed by its next answer, and the end waits for no longer', async () => {
  const { front, port } = await start();
  const agent = keepingAgent();
  expect(await get(port, '/quick', agent)).toMatchObject({ connection: 'keep-alive' });
  const closed = front.close({ drainMs: 60_000, takesNew: false });
  expect(await get(port, '/quick', agent)).toEqual({ connection: 'close', text: 'quick' });
  await closed;
});

test('a request in flight is answered, and its connection told', async () => {
  const { front, port, answer } = await start();
  const slow = get(port, '/slow', keepingAgent());
  await expect.poll(() => front.inFlight()).toBe(1);
  const closed = front.close({ drainMs: 60_000, takesNew: false });
  answer();
  expect(await slow).toEqual({ connection: 'close', text: 'slow' });
  await closed;
});

test('an answer that never ends by itself is ended first, and the end waits for nobody who follows', async () => {
  let endEvents = () => {};
  const { app, front, port } = await start(
    {},
    async () => {},
    (made) => {
      const events = new Readable({ read() {} });
      endEvents = () => events.push(null);
      made.get('/events', async (_request, reply) => {
        events.push('first');
        return reply.send(events);
      });
    },
  );
  app.endEventStreams = () => endEvents();
  const followed = get(port, '/events', keepingAgent());
  await expect.poll(() => front.inFlight()).toBe(1);
  await front.close({ drainMs: 60_000, takesNew: false });
  expect((await followed).text).toBe('first');
});

test('one that stays silent is closed after drainMs; asked again, the end hurries', async () => {
  const { front, port } = await start();
  const silent: Socket = connect(port, '127.0.0.1');
  await new Promise((resolve) => silent.once('connect', resolve));
  await get(port, '/quick', keepingAgent());
  const gone = new Promise((resolve) => silent.once('close', resolve));
  silent.resume();
  const closed = front.close({ drainMs: 600_000, takesNew: false });
  void front.close({ drainMs: 10, takesNew: false });
  await closed;
  await gone;
});

test('new connections are taken meanwhile where nobody else would', async () => {
  const { front, port } = await start();
  const agent = keepingAgent();
  await get(port, '/quick', agent);
  const closed = front.close({ drainMs: 60_000, takesNew: true });
  expect(await get(port, '/quick', new Agent())).toEqual({ connection: 'close', text: 'quick' });
  await get(port, '/quick', agent);
  await closed;
});

test('what can end a wait does so before the wait is waited for', async () => {
  const { app, front, port, answer } = await start({ shutdownMsMax: 600_000 });
  const slow = get(port, '/slow', keepingAgent());
  await expect.poll(() => front.inFlight()).toBe(1);
  expect(app.server.listening).toBe(true);
  endsWait = answer;
  await front.close({ drainMs: 0, takesNew: false });
  expect(await slow).toEqual({ connection: 'close', text: 'slow' });
});

test('nothing is closed below a request that is answered', async () => {
  const order: string[] = [];
  const { front, port, answer } = await start({}, async () => void order.push('closed'));
  const slow = get(port, '/slow', keepingAgent()).then(() => order.push('answered'));
  await expect.poll(() => front.inFlight()).toBe(1);
  const closed = front.close({ drainMs: 0, takesNew: false });
  setTimeout(answer, 100);
  await Promise.all([slow, closed]);
  expect(order).toEqual(['answered', 'closed']);
});

test('a request that hangs is cut after shutdownMsMax', async () => {
  const { front, port } = await start({ shutdownMsMax: 100 });
  const slow = get(port, '/slow', keepingAgent());
  await expect.poll(() => front.inFlight()).toBe(1);
  const cut = expect(slow).rejects.toMatchObject({ code: 'ECONNRESET' });
  await front.close({ drainMs: 0, takesNew: false });
  await cut;
});

test('a server on sockets of its parent looks at its database and its replica by itself, until it ends', async () => {
  const seen: string[] = [];
  const watched = (what: string) => () => {
    seen.push(`${what} watched`);
    return () => void seen.push(`${what} left`);
  };
  const readiness = { watch: watched('database'), look: async () => undefined, refusal: () => undefined };
  const replica = { watch: watched('replica') };
  const { front } = await start({}, undefined, (app) => {
    const log = pino({ level: 'silent' });
    refuseUnlessReady(app, readiness as never, log);
    const metrics = { registry: new Registry(), watch() {}, watchSlow() {} };
    watchReplica(app, replica as never, log, metrics as never);
  });
  expect(seen).toEqual(['database watched', 'replica watched']);
  await front.close({ drainMs: 0, takesNew: false });
  expect(seen.slice(2).sort()).toEqual(['database left', 'replica left']);
});
