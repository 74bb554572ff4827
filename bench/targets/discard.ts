import { createServer } from 'node:net';

/*
 * The cheapest possible server in Node: it reads a request to its end and answers 201. The rate that the load generator
 * reaches against it is the most that it can measure of any server.
 */
const answer = 'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n';

const server = createServer({ noDelay: true }, (socket) => {
  let missing = 0;
  socket.on('error', () => socket.destroy());
  socket.on('data', (data: Buffer) => {
    let bytes = data.length;
    if (missing === 0) {
      const bodyAt = data.indexOf('\r\n\r\n') + 4;
      const length = Number(/content-length: *(\d+)/i.exec(data.toString('latin1', 0, bodyAt))?.[1] ?? 0);
      missing = length;
      bytes -= bodyAt;
    }
    missing -= bytes;
    if (missing <= 0) {
      missing = 0;
      socket.write(answer);
    }
  });
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
