/**
 * A proxy in a process of its own that writes down each call as it leaves the SDK: proxy.mjs TARGET.
 *
 * Its first line says where it listens; each later line is one exchange as JSON, in the order in which the requests
 * arrived. The path is that of the request line, with every slash in it. A request to `/-mark/NAME` names the step
 * that follows and is not passed on. The key is never written: its header is replaced before anything is kept.
 */
import { createServer, request } from 'node:http';

const target = new URL(process.argv[2]);
const kept = new Set(['accept', 'accept-encoding', 'cache-control', 'content-type', 'transfer-encoding', 'user-agent']);
const waiting = [];
let mark = '';

const server = createServer(async (incoming, outgoing) => {
  const marked = /^\/-mark\/(.*)$/.exec(incoming.url);
  if (marked !== null) {
    mark = decodeURIComponent(marked[1]);
    outgoing.end();
    return;
  }
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
