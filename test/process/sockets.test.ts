import { spawnSync } from 'node:child_process';
import { type AddressInfo, createServer } from 'node:net';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openSockets } from '../../src/process/sockets.ts';

const log = pino({ level: 'silent' });
const open = async (settings: { HOST: string; PORT: number }, environment = {}, waitMsMax = 0) => {
  const sockets = await openSockets(settings, environment, log, waitMsMax);
  onTestFinished(() => sockets.close());
  return sockets;
};
const on = (HOST: string, PORT = 0) => ({ HOST, PORT });

/** A server that holds a port of 127.0.0.1. */
async function holdPort() {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void other.close());
  return { other, port: (other.address() as AddressInfo).port };
}

test('a socket that is made is one that another process can listen on', async () => {
  const { descriptors, areHeldElsewhere } = await open(on('127.0.0.1'));
  expect(areHeldElsewhere).toBe(false);
  const program = `const s = require('net').createServer().listen({ fd: 3 }, () => { console.log(s.address().address); s.close(); })`;
  const { stdout } = spawnSync(process.execPath, ['-e', program], {
    stdio: ['ignore', 'pipe', 'inherit', descriptors[0] as number],
    encoding: 'utf8',
  });
  expect(stdout).toBe('127.0.0.1\n');
});

test('a port in use is waited for as long as may be, and then named', async () => {
  const { other, port } = await holdPort();
  await expect(open(on('127.0.0.1', port), {}, 100)).rejects.toThrow(`Port ${port} of 127.0.0.1 is in use.`);
  setTimeout(() => other.close(), 100);
  expect((await open(on('127.0.0.1', port), {}, 5_000)).descriptors).toHaveLength(1);
});

test('what is no address of this machine is named', async () => {
  await expect(open(on('x86_64-conda-linux-gnu'))).rejects.toThrow(
    'HOST is x86_64-conda-linux-gnu, which is no address',
  );
  await expect(open(on('192.0.2.1'))).rejects.toThrow(/192\.0\.2\.1: EADDRNOTAVAIL/);
});

describe('what systemd hands over', () => {
  const own = { LISTEN_PID: String(process.pid) };
  test('is taken instead, however many there are', async () => {
    const taken = await open(on('127.0.0.1'), { ...own, LISTEN_FDS: '2' });
    expect(taken).toMatchObject({ descriptors: [3, 4], areHeldElsewhere: true });
  });
  test('is left alone when it is for another process, or is nothing', async () => {
    for (const environment of [
      { LISTEN_PID: '1', LISTEN_FDS: '1' },
      { ...own, LISTEN_FDS: '0' },
      { ...own, LISTEN_FDS: 'x' },
      own,
    ]) {
      expect((await open(on('127.0.0.1'), environment)).areHeldElsewhere).toBe(false);
    }
  });
});
