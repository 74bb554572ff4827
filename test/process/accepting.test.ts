import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { openSockets } from '../../src/process/sockets.ts';

const program = fileURLToPath(new URL('./support/accepting.mjs', import.meta.url));

/** Opens so many connections while a process stands still. @returns how many it then takes, by turn of the event loop */
async function takenPerTurn(descriptorsPerSocket: number, connections: number): Promise<number[]> {
  const sockets = await openSockets({ HOST: '127.0.0.1', PORT: 0 }, {}, pino({ level: 'silent' }), 0);
  onTestFinished(() => sockets.close());
  const descriptors = Array<number>(descriptorsPerSocket).fill(sockets.descriptors[0] as number);
  const child = fork(program, [String(descriptorsPerSocket), '500'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...descriptors],
    execArgv: [],
  });
  onTestFinished(() => void child.kill());
  const ask = async (message: string) => {
    const answered = once(child, 'message');
    child.send(message);
    return (await answered)[0];
  };
  const [port] = (await once(child, 'message')) as [number];
  await ask('stand');
  const clients = Array.from({ length: connections }, () => connect(port, '127.0.0.1'));
  onTestFinished(() => {
    for (const client of clients) client.destroy();
  });
  await Promise.all(clients.map((client) => once(client, 'connect')));
  let taken: number[] = [];
  const sum = () => taken.reduce((all, one) => all + one, 0);
  await expect
    .poll(
      async () => {
        taken = (await ask('tell')) as number[];
        return sum();
      },
      { timeout: 15_000 },
    )
    .toBe(connections);
  return taken;
}

test('a process takes one connection a turn of each descriptor that it was given', async () => {
  expect(Math.max(...(await takenPerTurn(1, 20)))).toBe(1);
  const many = await takenPerTurn(8, 60);
  expect(Math.max(...many)).toBe(8);
  expect(many.length).toBeLessThan(20);
});
