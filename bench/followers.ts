import { connect, type Socket } from 'node:net';
import type { Bench } from './support/bench.ts';
import { measure } from './support/load.ts';
import { compare, oursDurability, resultOf } from './support/rounds.ts';
import type { Row } from './support/row.ts';
import type { Target } from './support/target.ts';

const followerCount = 500;

/** The followers follow one of the loaded streams. The process of the bench reads their events and discards them. */
export const followers: Row = {
  id: 'followers',
  question: 'What does ingest lose while many follow a run?',
  async run(bench) {
    const count = bench.options.tiny ? 20 : followerCount;
    const microseconds = { ours: [] as number[], baseline: [] as number[] };
    const durability = { ours: oursDurability, baseline: oursDurability };
    const round = async (side: 'ours' | 'baseline') => {
      const { perSecond, cpu } = await measureWith(bench, side === 'ours' ? count : 0);
      microseconds[side].push(cpu);
      return perSecond;
    };
    const speed = await compare(
      bench,
      {
        title: `single chunks of 100 points while ${count} follow one of the runs, against nobody`,
        unit: 'chunks/s',
        bound: { of: 'ratio', is: 'at least', must: 0.95, aim: 0.98 },
      },
      {
        ours: { durability: oursDurability, round: () => round('ours') },
        baseline: { durability: oursDurability, round: () => round('baseline') },
      },
    );
    const work = resultOf(
      {
        title: `the same: processor time of the server and PostgreSQL for a chunk`,
        unit: 'µs',
        bound: { of: 'ratio', is: 'at most', must: 1.05, aim: 1.02 },
      },
      microseconds,
      durability,
    );
    return [speed, work];
  },
};

async function measureWith(bench: Bench, count: number): Promise<{ perSecond: number; cpu: number }> {
  return bench.on('ours', async (target) => {
    const load = await bench.loadFor(target, { format: 'chunk', points: 100 });
    const all = await Promise.all(
      Array.from({ length: count }, () => follow(target, load.payload.streams[0] as string)),
    );
    const measured = await measure(target, load, bench.options);
    const told = all.filter(({ bytes }) => bytes() > 0).length;
    for (const { socket } of all) socket.destroy();
    if (told < count) throw new Error(`${count - told} of ${count} followers were told nothing`);
    const { generator: _, ...server } = measured.cpuMicroseconds;
    return {
      perSecond: measured.requestsPerSecond,
      cpu: Object.values(server).reduce((sum, one) => sum + one, 0),
    };
  });
}

/** Follows a run. @returns the socket, and a function that tells how many bytes of events have come after the head of the answer */
async function follow({ url, key }: Target, dataId: string): Promise<{ socket: Socket; bytes(): number }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let isHead = true;
  let bytes = 0;
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject).once('connect', () => {
      socket.write(`GET /metrology/${dataId}/live HTTP/1.1\r\nhost: ${hostname}\r\nx-api-key: ${key}\r\n\r\n`);
    });
    socket.on('data', (data) => {
      if (!isHead) {
        bytes += data.length;
        return;
      }
      isHead = false;
      if (data.subarray(0, 12).toString() === 'HTTP/1.1 200') resolve();
      else reject(new Error(`a follower was answered ${data.toString()}`));
    });
  });
  return { socket, bytes: () => bytes };
}
