import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { fillChannel, openStream } from '../ledger/support/storing.ts';
import {
  expectAllRight,
  expectSameReads,
  openRun,
  pointsPerChunk,
  race,
  randomFrom,
  type Servers,
  startServers,
} from './support/racing.ts';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

let servers: Servers;
beforeAll(async () => {
  servers = await startServers();
});
afterAll(() => servers?.close());

const settled = () => Promise.all(servers.makers.map(({ app }) => app.overviewsIdle()));

test('overviews of two levels, made by two servers beside writers, removals and one of before', async () => {
  const seed = Number(process.env.SEED ?? 1);
  const random = randomFrom(seed);
  // Two levels: chunks of one reading that the database has made, of which the race replaces some.
  const dataId = await openStream(servers.plain, pointsPerChunk);
  for (const channel of ['a', 'b']) await fillChannel(servers.plain, dataId, channel, 4_160);
  await servers.plain.owner.pool.query('update chunks set start_offset = chunk_index * $1', [pointsPerChunk]);
  await verify(servers.plain.database, () => {}, { repairs: true });
  const runs = [
    { dataId, channels: ['a', 'b'], chunks: 4_160 },
    await openRun(servers, 400, true),
    await openRun(servers, 200, false),
  ];
  let checked = 0;
  for (let round = 0; round < 4; round++) {
    await race(servers, runs, 20, random);
    await expectSameReads(servers, runs, random);
    await settled();
    checked += await expectAllRight(servers.plain);
    await expectSameReads(servers, runs, random);
  }
  await verify(servers.plain.database, () => {}, { repairs: true });
  await expectSameReads(servers, runs, random);
  expect(await expectAllRight(servers.plain)).toBeGreaterThan(100);
  expect(checked).toBeGreaterThan(100);
});
