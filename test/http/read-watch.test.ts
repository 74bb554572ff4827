import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createReadWatch } from '../../src/http/read-watch.ts';

test('Node tells of reads that complete no head and bring no body', async () => {
  const told: number[] = [];
  const server = createServer((_, response) => response.end());
  server.on(
    'connection',
    createReadWatch(({ bytesRead }) => told.push(bytesRead)),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  onTestFinished(() => void client.destroy());
  let sent = 0;
  for (const part of ['GET / HTTP/1.1\r\nHost: a\r\nX-Long: ', 'x'.repeat(1_000), '\r\n', '\r\n']) {
    client.write(part);
    sent += part.length;
    // Should a version of Node stop calling what is watched, heads and reads are not bounded there (read-watch.ts).
    await expect.poll(() => told.at(-1)).toBe(sent);
  }
});
