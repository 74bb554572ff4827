import { attack, chunkPath, get, jsonUnder, pour } from '../support/attack.ts';
import type { Ground, Row } from '../support/ground.ts';
import { head, piece } from '../support/lines.ts';

/** Node keeps 2,000 headers and says nothing of the rest. */
const headerCount = 2_001;
const many = (count: number) => Array.from({ length: count }, (_, i) => [`X-${i}`, '1'] as const);

/** Requests that mean something else to one reader than to another, or have a head of a size that nobody needs. */
export const heads: Row[] = [
  {
    name: 'length-behind-too-many-headers',
    about: '20 chunks of 32 MiB whose key and length stand before and behind 2,000 headers',
    run: (ground) => bodiesBehindHeaders(ground, ['Content-Length', 33_554_432]),
  },
  {
    name: 'coding-behind-too-many-headers',
    about: '20 bodies of 32 MiB without a length whose content coding stands behind 2,000 headers',
    run: (ground) => bodiesBehindHeaders(ground, ['Transfer-Encoding', 'chunked']),
  },
  {
    name: 'metrics-behind-too-many-headers',
    about: 'X-Forwarded-For stands behind 2,000 headers of a request for /metrics: they stay closed',
    run: (ground) =>
      expectRefusal(
        ground,
        head('GET', '/metrics', [...many(headerCount - 1), ['X-Forwarded-For', '192.0.2.1']]),
        [431, 400, 401],
      ),
  },
  {
    name: 'metrics-behind-a-proxy',
    about: 'a proxy for TCP on the same machine asks for /metrics without a key: they stay closed',
    run: (ground) => expectRefusal(ground, get('/metrics'), [401]),
  },
  {
    name: 'many-headers',
    about: '50 connections send heads of 200 kB, of 20,000 headers and of headers without end, again and again',
    run: (ground) =>
      attack(ground, 50, {}, async (line, i) => {
        const text = [
          head('GET', '/healthz', { 'X-Long': 'x'.repeat(200_000) }),
          head('GET', '/healthz', many(20_000)),
          'X-More: 1\r\n'.repeat(10_000),
        ][i % 3] as string;
        if (i % 3 === 2) await line.send('GET /healthz HTTP/1.1\r\nHost: bounds\r\n');
        await pour(ground, line, text, 50);
      }),
  },
  {
    name: 'huge-urls',
    about: '20 connections ask for URLs of 250 kB and of 1 MB, with and without a key',
    run: (ground) =>
      attack(ground, 20, {}, async (line, i) => {
        const key = i % 2 === 0 ? ground.keys.attacker : undefined;
        const query = i % 4 < 2 ? `keywords=${'x'.repeat(240_000)}` : 'data_ids=1&'.repeat(90_000);
        await pour(ground, line, get(`/data_entries/?${query}`, key), 20);
      }),
  },
  {
    name: 'many-names',
    about:
      '20 connections ask, with and without a key, with 40,000 parameters in a query and send 90,000 fields in a body',
    run: (ground) =>
      attack(ground, 20, {}, async (line, i) => {
        const keyed = jsonUnder(ground.keys.attacker);
        const query = Array.from({ length: 40_000 }, (_, n) => n.toString(36)).join('&');
        const fields = `{${Array.from({ length: 90_000 }, (_, n) => `"${n.toString(36)}":0`).join()}}`;
        const text = [
          head('GET', `/data_entries/?${query}`),
          head('GET', `/data_entries/?${query}`, keyed),
          head('POST', '/projects/', { ...keyed, 'Content-Length': fields.length }) + fields,
          // As long as it may be to be read on the event loop.
          head('POST', chunkPath, { ...keyed, 'Content-Length': 500_000 }) +
            `${fields.slice(0, 499_990)}}`.padEnd(500_000),
          head('GET', `/${'a/'.repeat(120_000)}`),
        ][i % 5] as string;
        await pour(ground, line, text, 20);
      }),
  },
  {
    name: 'other-protocols',
    about: '50 connections ask for CONNECT, an upgrade to a web socket and to HTTP/2, and stay',
    run: (ground) =>
      attack(ground, 50, {}, async (line, i) => {
        const upgrade = { Connection: 'Upgrade', Upgrade: i % 2 === 0 ? 'websocket' : 'h2c' };
        const text =
          i % 3 === 0
            ? 'CONNECT 127.0.0.1:5432 HTTP/1.1\r\nHost: bounds\r\n\r\n'
            : i % 3 === 1
              ? head('GET', '/healthz', upgrade)
              : 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
        await pour(ground, line, text, 20);
      }),
  },
  {
    name: 'trailers',
    about: '20 chunked bodies end in trailers without end, one of which is a key',
    run: (ground) =>
      attack(ground, 20, {}, async (line) => {
        await line.send(
          head('POST', chunkPath, { ...jsonUnder(ground.keys.attacker), 'Transfer-Encoding': 'chunked' }),
        );
        await line.send(Buffer.concat([piece('{}'), Buffer.from('0\r\n')]));
        await pour(ground, line, `X-API-KEY: ${ground.keys.other}\r\n`.repeat(100), 200);
      }),
  },
  {
    name: 'chunk-extensions',
    about: '20 bodies come one byte a piece, each piece with an extension of 10 kB',
    run: (ground) =>
      attack(ground, 20, {}, async (line) => {
        await line.send(
          head('POST', chunkPath, { ...jsonUnder(ground.keys.attacker), 'Transfer-Encoding': 'chunked' }),
        );
        await pour(ground, line, `1;${'x'.repeat(10_000)}\r\n{\r\n`, 500);
      }),
  },
  {
    name: 'bodies-where-none-belong',
    about: 'bodies of 32 MiB come on GET, HEAD, DELETE and OPTIONS, on open routes and on none',
    run: (ground) =>
      attack(ground, 24, {}, async (line, i) => {
        const [method, path] = bodiless[i % bodiless.length] as [string, string];
        await line.send(head(method, path, { ...jsonUnder(ground.keys.attacker), 'Content-Length': 33_554_432 }));
        await pour(ground, line, Buffer.alloc(64 * 1024, ' '), 512);
      }),
  },
  {
    name: 'refused-bodies-go-on',
    about: 'ten bodies beyond the limit go on for up to 256 MB each',
    run: (ground) =>
      attack(ground, 10, {}, async (line, i) => {
        const length = i % 2 === 0 ? { 'Content-Length': 268_435_456 } : { 'Transfer-Encoding': 'chunked' };
        await line.send(head('POST', chunkPath, { ...jsonUnder(ground.keys.attacker), ...length }));
        const bytes = Buffer.alloc(64 * 1024, ' ');
        await pour(ground, line, i % 2 === 0 ? bytes : piece(bytes), 4_096);
      }),
  },
];

const bodiless = [
  ['GET', '/data_entries/'],
  ['HEAD', '/data_entries/'],
  ['DELETE', '/data_entries/?data_ids=00000000-0000-4000-8000-000000000000'],
  ['OPTIONS', chunkPath],
  ['GET', '/healthz'],
  ['DELETE', '/nowhere'],
  ['GET', '/docs'],
  ['POST', '/tool-state/stream/00000000-0000-4000-8000-000000000000/finalize'],
];

/** Bodies whose last header Node does not see must be counted or refused; memory shows whether they were. */
async function bodiesBehindHeaders(ground: Ground, last: readonly [string, string | number]): Promise<void> {
  const pairs = [...Object.entries(jsonUnder(ground.keys.attacker)), ...many(headerCount - 2), last];
  const refused: string[] = [];
  await attack(ground, 20, {}, async (line) => {
    await line.send(head('POST', chunkPath, pairs));
    const bytes = Buffer.alloc(1024 * 1024, ' ');
    await pour(ground, line, last[0] === 'Content-Length' ? bytes : piece(bytes), 32);
    await Promise.race([line.untilAnswers(1), ground.rest()]);
    refused.push(String(line.statuses()[0] ?? 'none'));
  });
  const odd = refused.filter((status) => status !== '431' && status !== '400');
  if (odd.length > 0) ground.blame(`a head of ${headerCount} headers is taken: ${odd.slice(0, 3).join(', ')}`);
}

async function expectRefusal(ground: Ground, text: string, statuses: number[]): Promise<void> {
  await ground.watched(async () => {
    const [line] = await ground.lines(1);
    await line?.send(text);
    await Promise.race([line?.untilAnswers(1), ground.rest()]);
    const [status] = line?.statuses() ?? [];
    if (status === undefined || !statuses.includes(status)) ground.blame(`answered ${status}`);
  });
}
