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

const chunked = (path: string, headers: Record<string, string>) =>
  head('POST', path, { ...headers, 'Transfer-Encoding': 'chunked' });
const onePieces = Buffer.from('1\r\n \r\n'.repeat(300_000));
const trailers = Buffer.concat([piece('{}'), Buffer.from(`0\r\n${'t:\r\n'.repeat(100_000)}`)]);
const json = { 'Content-Type': 'application/json' };

/** What costs much to parse or to keep before it is a request, or behind one; under a key, and without. */
export const costlyReads: Row[] = [
  row({
    name: 'heads-never-finished',
    about:
      '600 (4,000) connections without a key send 250 kB of a head, in many headers or in one, and never finish it',
    count: (ground) => ground.size(600, 4_000),
    begins: (_ground, i) =>
      i % 2 === 0
        ? longHead('/healthz').slice(0, -2)
        : `GET /healthz HTTP/1.1\r\nHost: bounds\r\nX-Long: ${'x'.repeat(250_000)}`,
  }),
  row({
    name: 'heads-never-finished-under-a-key',
    about: '600 (4,000) connections do so after a request under a key',
    count: (ground) => ground.size(600, 4_000),
    begins: ({ keys }) => head('GET', '/nowhere', { 'X-API-KEY': keys.attacker }) + longHead('/healthz').slice(0, -2),
  }),
  row({
    name: 'heads-of-unread-pages',
    about: '300 (1,000) connections without a key ask four times for a page in heads of 250 kB, and never read',
    count: (ground) => ground.size(300, 1_000),
    begins: () => longHead(bundle).repeat(4),
  }),
  row({
    name: 'heads-of-unread-pages-under-a-key',
    about: '300 (1,000) connections do so under a key, five times',
    count: (ground) => ground.size(300, 1_000),
    begins: ({ keys }) => longHead(bundle, [['X-API-KEY', keys.attacker]]).repeat(5),
  }),
  row({
    name: 'trailers-without-end',
    about: '100 (300) connections under a key end a chunked body in 400 kB of trailers, and no end',
    count: (ground) => ground.size(100, 300),
    begins: ({ keys }) => chunked(chunkPath, jsonUnder(keys.attacker)),
    goesOn: trailers,
  }),
  row({
    name: 'pieces-of-one-byte',
    about: '40 (200) connections under a key send 300,000 pieces of one byte each',
    count: (ground) => ground.size(40, 200),
    begins: ({ keys }) => chunked(chunkPath, jsonUnder(keys.attacker)),
    goesOn: onePieces,
  }),
  row({
    name: 'pieces-of-one-byte-without-key',
    about: '200 (600) connections without a key do so, to routes that are there and not',
    count: (ground) => ground.size(200, 600),
    begins: (_ground, i) => chunked([chunkPath, '/nowhere', '/session', '/healthz'][i % 4] as string, json),
    goesOn: onePieces,
  }),
];

interface Costly {
  name: string;
  about: string;
  count(ground: Ground): number;
  begins(ground: Ground, i: number): string;
  goesOn?: Buffer;
}

/** Sent at once. To give a system a gigabyte in one turn takes seconds, in which nobody here reads what the server logs: it waits for that. */
const partBytes = 64 * 1024;

/** Sends it on so many connections, on a server of its own, and looks at what the server holds for it. */
function row({ name, about, count, begins, goesOn = Buffer.alloc(0) }: Costly): Row {
  return {
    name,
    about,
    own: 'quiet',
    async run(ground) {
      const grown = watchMemory(ground);
      const lines: Line[] = [];
      await attack(ground, count(ground), { reads: false }, async (line, i) => {
        lines.push(line);
        await line.send(begins(ground, i));
        for (let at = 0; at < goesOn.length && !ground.isOver() && line.isOpen(); at += partBytes) {
          await line.send(goesOn.subarray(at, at + partBytes));
        }
      });
      ground.note(`${lines.filter((line) => line.isOpen()).length} still open`);
      // With garbage that is not collected yet. The heads would take 350 MiB, 2.4 GiB in full; connections take some too.
      ground.measure('grown by', grown(), { max: ground.size(300, 600), unit: 'MiB' });
    },
  };
}
