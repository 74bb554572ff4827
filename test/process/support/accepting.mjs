// A process of test/process/accepting.test.ts: it listens on the descriptors that it was given, stands still when it is told
// to, and tells how many connections it has taken in each turn of the event loop since.
import { createServer } from 'node:http';
import Fastify from 'fastify';
import { listen } from '../../../dist/process/listen.js';

const [count, ms] = process.argv.slice(2).map(Number);
const app = Fastify({ serverFactory: (listener) => createServer(listener) });
await listen(
  app,
  Array.from({ length: count }, (_, i) => 4 + i),
  { listenBacklog: 500 },
);
const perTurn = [0];
app.server.on('connection', () => {
  perTurn[perTurn.length - 1]++;
});
const turn = () => {
  if (perTurn.at(-1) > 0) perTurn.push(0);
  setImmediate(turn);
};
process.on('message', (message) => {
  if (message === 'tell') return process.send(perTurn.slice(0, -1));
  process.send('standing');
  setImmediate(() => {
    for (const until = performance.now() + ms; performance.now() < until; );
    turn();
  });
});
process.send(app.server.address().port);
