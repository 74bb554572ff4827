/**
 * A proxy in a process of its own that writes down each call as it leaves the SDK: proxy.mjs TARGET.
 *
 * Its first line says where it listens; each later line is one exchange as JSON, in the order in which the requests
 * arrived. The path is that of the request line, with every slash in it. A request to `/-mark/NAME` names the step that
 * follows; one to `/-quiet/COUNT` is answered when the step has sent so many requests and nothing is under way any
 * more; neither is passed on. The key is never written: its header is replaced before anything is kept.
 */
import { createServer, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const target = new URL(process.argv[2]);
const kept = new Set(['accept', 'accept-encoding', 'cache-control', 'content-type', 'transfer-encoding', 'user-agent']);
const waiting = [];
const quietMs = 250;
const quietWaitMsMax = 10_000;
let mark = '';
let seen = 0;
let lastAtMs = 0;

const server = createServer(async (incoming, outgoing) => {
  const marked = /^\/-mark\/(.*)$/.exec(incoming.url);
  if (marked !== null) {
    mark = decodeURIComponent(marked[1]);
    seen = 0;
    outgoing.end();
    return;
  }
  const quiet = /^\/-quiet\/(\d+)$/.exec(incoming.url);
  if (quiet !== null) {
    await untilQuiet(Number(quiet[1]));
    outgoing.end();
    return;
  }
  lastAtMs = Date.now();
  // The time is asked for beside all steps and belongs to none.
  if (incoming.url !== '/gateway/time') seen++;
  const exchange = { step: mark, method: incoming.method, path: incoming.url, headers: headersOf(incoming) };
  const place = { exchange, whole: false };
  waiting.push(place);
  const body = await bodyOf(incoming);
  if (body !== '') exchange.body = body;
  const headers = { ...incoming.headers, host: target.host };
  const { hostname, port } = target;
  const passed = request({ hostname, port, method: incoming.method, path: incoming.url, headers }, async (answer) => {
    const text = await bodyOf(answer);
    Object.assign(exchange, { status: answer.statusCode, answer: text });
    place.whole = true;
    writeInOrder();
    const { 'transfer-encoding': _, connection: __, ...others } = answer.headers;
    outgoing.writeHead(answer.statusCode, { ...others, 'content-length': Buffer.byteLength(text) });
    outgoing.end(text);
  });
  // The SDK sees what it would see without the proxy: a connection that breaks.
  passed.on('error', () => outgoing.destroy());
  passed.end(body);
});
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${server.address().port}\n`));

/** Until a step has sent as many requests as it has to, all are answered, and for a moment there were no more. */
async function untilQuiet(expected) {
  const askedAtMs = Date.now();
  while (Date.now() - askedAtMs < quietWaitMsMax) {
    if (seen >= expected && waiting.length === 0 && Date.now() - Math.max(lastAtMs, askedAtMs) >= quietMs) return;
    await sleep(20);
  }
}

/** The headers that tell the clients apart; of the key only that there is one, of a length only that it is announced. */
function headersOf({ headers }) {
  const shown = Object.entries(headers).filter(([name]) => kept.has(name));
  if (headers['x-api-key'] !== undefined) shown.push(['x-api-key', '<key>']);
  if (headers['content-length'] !== undefined) shown.push(['content-length', '<length>']);
  return Object.fromEntries(shown.sort());
}

async function bodyOf(message) {
  const parts = [];
  for await (const part of message) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

function writeInOrder() {
  while (waiting[0]?.whole) process.stdout.write(`${JSON.stringify(waiting.shift().exchange)}\n`);
}
