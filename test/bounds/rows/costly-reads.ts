import { attack, chunkPath, jsonUnder } from '../support/attack.ts';
import type { Ground, Row } from '../support/ground.ts';
import { head, type Line, piece } from '../support/lines.ts';
import { watchMemory } from '../support/memory.ts';

/** 250 kB of a head, in 900 headers. */
const longHead = (path: string, headers: [string, string][] = []) =>
  head('GET', path, [
    ...headers,
    ...Array.from({ length: 900 }, (_, i): [string, string] => [`X-${i}-${'n'.repeat(120)}`, 'v'.repeat(140)]),
  ]);
const bundle = '/docs/swagger-ui-bundle.js';

const chunkedBody = (more: string, headers: Record<string, string>, path = chunkPath) =>
  Buffer.from(`${head('POST', path, { ...headers, 'Transfer-Encoding': 'chunked' })}${more}`);
const onePieces = '1\r\n \r\n'.repeat(300_000);
const json = { 'Content-Type': 'application/json' };

/** What costs much to parse or to keep before it is a request, or behind one; under a key, and without. */
export const costlyReads: Row[] = [
  row({
    name: 'heads-never-finished',
    about:
      '600 (4,000) connections without a key send 250 kB of a head, in many headers or in one, and never finish it',
    count: (ground) => ground.size(600, 4_000),
    bytes: (_ground, i) =>
      i % 2 === 0
        ? longHead('/healthz').slice(0, -2)
        : `GET /healthz HTTP/1.1\r\nHost: bounds\r\nX-Long: ${'x'.repeat(250_000)}`,
  }),
  row({
    name: 'heads-never-finished-under-a-key',
    about: '600 (4,000) connections do so after a request under a key',
    count: (ground) => ground.size(600, 4_000),
    bytes: ({ keys }) => head('GET', '/nowhere', { 'X-API-KEY': keys.attacker }) + longHead('/healthz').slice(0, -2),
  }),
  row({
    name: 'heads-of-unread-pages',
    about: '300 (1,000) connections without a key ask four times for a page in heads of 250 kB, and never read',
    count: (ground) => ground.size(300, 1_000),
    bytes: () => longHead(bundle).repeat(4),
  }),
  row({
    name: 'heads-of-unread-pages-under-a-key',
    about: '300 (1,000) connections do so under a key, five times',
    count: (ground) => ground.size(300, 1_000),
    bytes: ({ keys }) => longHead(bundle, [['X-API-KEY', keys.attacker]]).repeat(5),
  }),
  row({
    name: 'trailers-without-end',
    about: '100 (300) connections under a key end a chunked body in 400 kB of trailers, and no end',
    count: (ground) => ground.size(100, 300),
    bytes: ({ keys }) => chunkedBody(`${piece('{}')}0\r\n${'t:\r\n'.repeat(100_000)}`, jsonUnder(keys.attacker)),
  }),
  row({
    name: 'pieces-of-one-byte',
    about: '40 (200) connections under a key send 300,000 pieces of one byte each',
    count: (ground) => ground.size(40, 200),
    bytes: ({ keys }) => chunkedBody(onePieces, jsonUnder(keys.attacker)),
  }),
  row({
    name: 'pieces-of-one-byte-without-key',
    about: '200 (600) connections without a key do so, to routes that are there and not',
    count: (ground) => ground.size(200, 600),
    bytes: (_ground, i) =>
      chunkedBody(onePieces, json, [chunkPath, '/nowhere', '/session', '/healthz'][i % 4] as string),
  }),
];

interface Costly {
  name: string;
  about: string;
  count(ground: Ground): number;
  bytes(ground: Ground, i: number): string | Buffer;
}

/** Sends it on so many connections, on a server of its own, and looks at what the server holds for it. */
function row({ name, about, count, bytes }: Costly): Row {
  return {
    name,
    about,
    own: 'quiet',
    async run(ground) {
      const grown = watchMemory(ground);
      const lines: Line[] = [];
      await attack(ground, count(ground), { reads: false }, async (line, i) => {
        lines.push(line);
        await line.send(bytes(ground, i));
      });
      ground.note(`${lines.filter((line) => line.isOpen()).length} still open`);
      // With garbage that is not collected yet. The heads would take 350 MiB, 2.4 GiB in full; connections take some too.
      ground.measure('grown by', grown(), { max: ground.size(300, 600), unit: 'MiB' });
    },
  };
}
