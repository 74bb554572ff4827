import { countsOf } from '../support/ask.ts';
import { attack, chunkPath, expectStatuses, flood, hold, pour, slowest } from '../support/attack.ts';
import type { Ground, Row } from '../support/ground.ts';
import { head, piece } from '../support/lines.ts';
import { answerMsMax } from '../support/witness.ts';

const json = { 'Content-Type': 'application/json' };
const bundle = head('GET', '/docs/swagger-ui-bundle.js');

/** What costs the parser most: 60 kB of it in one read. */
const beginnings = {
  'small-requests': head('GET', '/nowhere').repeat(1_300),
  'too-many-headers': head(
    'GET',
    '/healthz',
    Array.from({ length: 1_002 }, (_, i) => [`X-${i}`, '1'.repeat(45)]),
  ),
  'headers-without-end': `GET /healthz HTTP/1.1\r\n${'a:\r\n'.repeat(15_000)}`,
};

/** Nobody here has a key. */
export const strangers: Row[] = [
  {
    name: 'unread-pages-then-chunked-bodies',
    about: 'ten connections pipeline eight pages of 1.5 MB and 200 GETs with a chunked body, and never read',
    run: (ground) =>
      hold(ground, 10, () => {
        const one = `${head('GET', '/healthz', { 'Transfer-Encoding': 'chunked' })}${piece('x')}0\r\n\r\n`;
        return bundle.repeat(8) + one.repeat(200);
      }),
  },
  {
    name: 'unread-pages-then-gzip-bodies',
    about: 'the same with compressed bodies of 63 bytes: 296 kB in all',
    run: (ground) =>
      hold(ground, 10, () => {
        const one = head('GET', '/healthz', { 'Content-Encoding': 'gzip', 'Content-Length': 63 }) + 'x'.repeat(63);
        return bundle.repeat(8) + one.repeat(210);
      }),
  },
  {
    name: 'unread-pages',
    about: '100 connections ask for 50 pages of 1.5 MB each and never read',
    run: (ground) => hold(ground, 100, () => bundle.repeat(50)),
  },
  {
    name: 'pipelines-without-end',
    about: '50 connections pipeline small requests as fast as they are taken, and never read an answer',
    run: (ground) =>
      attack(ground, 50, { reads: false }, async (line) => {
        const many = head('GET', '/nowhere').repeat(500);
        for (let i = 0; i < 200 && !ground.isOver() && line.isOpen(); i++) await line.send(many);
      }),
  },
  {
    name: 'declared-bodies-without-key',
    about: '200 connections declare chunks of 32 MiB without a key and send nothing of them',
    run: (ground) => hold(ground, 200, () => head('POST', chunkPath, { ...json, 'Content-Length': 33_554_432 })),
  },
  {
    name: 'bodies-without-key',
    about: '20 connections send bodies of 32 MiB without a key, plain and compressed, to routes that are there and not',
    run: (ground) =>
      attack(ground, 20, {}, async (line, i) => {
        const [path, coding] = [[chunkPath, '/nowhere', '/projects/'][i % 3] as string, i % 2 === 0 ? {} : gzip];
        await line.send(head('POST', path, { ...json, ...coding, 'Content-Length': 33_554_432 }));
        await pour(ground, line, Buffer.alloc(64 * 1024, 'x'), 512);
      }),
  },
  {
    name: 'endless-chunked-bodies-without-key',
    about: '20 connections send chunked bodies without end to open routes and to none',
    run: (ground) =>
      attack(ground, 20, {}, async (line, i) => {
        const [method, path] = openRoutes[i % openRoutes.length] as [string, string];
        await line.send(head(method, path, { ...json, 'Transfer-Encoding': 'chunked' }));
        await pour(ground, line, piece(Buffer.alloc(64 * 1024, 'x')), 512);
      }),
  },
  {
    name: 'not-http',
    about: '200 connections send TLS, random bytes, empty lines and half a request line, again and again',
    run: (ground) =>
      attack(ground, 200, {}, async (line, i) => {
        const [bytes] = notHttp.slice(i % notHttp.length);
        for (let n = 0; n < 50 && !ground.isOver() && line.isOpen(); n++) {
          await line.send(bytes as Buffer);
          await ground.rest(20);
        }
      }),
  },
  {
    name: 'readiness-flood',
    about: 'monitors gone wild: 64 connections ask for /readyz without a pause',
    run: (ground) => askOften(ground, 64, '/readyz', [200]),
  },
  {
    name: 'metrics-flood',
    about: '16 connections ask for /metrics without a pause',
    run: (ground) => askOften(ground, 16, '/metrics', [200, 401]),
  },
  {
    name: 'document-flood',
    about: '16 connections ask for the OpenAPI document without a pause',
    run: (ground) => askOften(ground, 16, '/openapi.yaml', [200]),
  },
  {
    name: 'log-of-refusals',
    about: '64 connections ask without a key as fast as they can: the log stays small',
    async run(ground) {
      const lengthOf = () => ground.site.server().stderr().length;
      const before = lengthOf();
      await askOften(ground, 64, '/tags/', [401]);
      ground.measure('log', (lengthOf() - before) / 1_024, { max: 256, unit: 'KiB' });
    },
  },
  ...(Object.entries(beginnings) as [string, string][]).map(([what, text]) => ({
    name: `idle-then-${what}`,
    about: `3,000 (15,000) connections that have sent nothing; 300 (1,000) of them, and 40 new ones again and again, send 60 kB of ${what}`,
    async run(ground: Ground) {
      const idle = await ground.lines(ground.size(3_000, 15_000), { reads: false });
      await ground.watched(async () => {
        const again = async () => {
          while (!ground.isOver()) {
            const [line] = await ground.lines(1);
            await line?.send(text);
            await ground.rest(300);
            line?.socket.destroy();
          }
        };
        const all = idle.slice(0, ground.size(300, 1_000)).map((line) => line.send(text));
        await Promise.race([Promise.all([...all, ...Array.from({ length: 40 }, again)]), ground.rest()]);
      });
    },
  })),
];

const gzip = { 'Content-Encoding': 'gzip' };
const openRoutes = [
  ['GET', '/healthz'],
  ['GET', '/readyz'],
  ['POST', '/nowhere'],
  ['GET', '/docs'],
  ['GET', '/openapi.yaml'],
  ['PUT', '/healthz'],
];
const notHttp = [
  Buffer.from('1603010200010001fc0303', 'hex'),
  Buffer.from(Array.from({ length: 200 }, (_, i) => (i * 193 + 7) % 256)),
  Buffer.from('\r\n'.repeat(100)),
  Buffer.from('GET /healthz HTT'),
  Buffer.from('GET /healthz HTTP/9.9\r\n\r\n'),
];

/** Asks without a pause on so many connections, and blames answers that come late or have another status. */
async function askOften(ground: Ground, connections: number, path: string, statuses: number[]): Promise<void> {
  await ground.watched(async () => {
    const answers = await flood(ground, { connections, path });
    ground.note(countsOf(answers));
    ground.measure(`slowest answer of ${path}`, slowest(answers), { max: answerMsMax, unit: 'ms' });
    expectStatuses(ground, path, answers, statuses);
  });
}
