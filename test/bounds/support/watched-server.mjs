/* A server of a few lines for the test of the witness: it answers what the witness asks, and stands still once when told how. */
import { createServer } from 'node:http';

const [how, ms] = [process.argv[2], Number(process.argv[3])];
const ways = {
  /** By what it has had of a processor, which on a busy machine takes longer. */
  work() {
    const spent = () => process.cpuUsage().user + process.cpuUsage().system;
    for (const until = spent() + ms * 1_000; spent() < until; );
  },
  wait: () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
  nothing() {},
};
const server = createServer((request, response) => {
  request.resume();
  response.writeHead(request.url.endsWith('/chunk') ? 201 : 200);
  response.end('{"data_id":"d"}');
});
server.listen(0, '127.0.0.1', () => process.send(server.address().port));
process.on('message', () => ways[how]());
