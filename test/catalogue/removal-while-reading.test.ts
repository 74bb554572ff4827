import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OrganizationDatabase } from '../../src/database/organizations.ts';
import { exportLimits } from '../../src/exports/limits.ts';
import { readLong } from '../../src/exports/long.ts';
import { openStreamExport } from '../../src/exports/service.ts';
import { readWide } from '../../src/exports/wide.ts';
import { httpLimits } from '../../src/http/limits.ts';
import { certificateAnswer } from '../../src/ledger/certificate.ts';
import { ledgerAnswer } from '../../src/ledger/chunk-ledger.ts';
import { openLedgerRead } from '../../src/ledger/ledger-read.ts';
import { ledgerLimits } from '../../src/ledger/limits.ts';
import { revisionsAnswer } from '../../src/ledger/revisions.ts';
import { freely } from '../../src/lib/reading.ts';
import { pointLimits } from '../../src/points/limits.ts';
import { openStored } from '../../src/points/read.ts';
import { rheedAnswer, timeseriesAnswer } from '../../src/timeseries/answers.ts';
import { timeseriesLimits } from '../../src/timeseries/limits.ts';
import { stagedAnswer } from '../../src/timeseries/staged.ts';
import { openStreamRead } from '../../src/timeseries/stream-read.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream } from '../timeseries/support/storing.ts';

const ledger = { ...httpLimits, ...pointLimits, ...ledgerLimits };
let server: TestServer;
let organization: OrganizationDatabase;
beforeAll(async () => {
  server = await startTestServer();
  const { rows } = await server.owner.pool.query(
    'select organization_id from api_keys join users using (organization_id, user_id) where users.name = $1',
    ['ada'],
  );
  organization = server.database.as(rows[0].organization_id);
});
afterAll(() => server.close());

/** A removal for good that has come half-way: the stream is given up, its channels are gone, and some of its chunks. */
async function removeHalf(dataId: string): Promise<void> {
  const { pool } = server.owner;
  await pool.query('update streams set deleted_at = now(), removed_at = now() where data_id = $1::uuid', [dataId]);
  await pool.query('delete from channels where data_id = $1::uuid', [dataId]);
  await pool.query('delete from chunks where data_id = $1::uuid and chunk_index < 5', [dataId]);
}

async function filledStream(chunks = 10): Promise<string> {
  const dataId = await openStream(server, 2);
  await fillChannel(server, dataId, 'v', { chunks, points: 2 });
  return dataId;
}

async function readAll(pieces: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of pieces);
}

const gone = { status: 404 };
const limits = { points: pointLimits, timeseries: timeseriesLimits };
const deps = () => ({ organization, limits: pointLimits, reading: freely });
const openRead = (dataId: string) => openStreamRead(organization, dataId, new Set(), limits, freely);
const openExport = (dataId: string, layout: 'long' | 'wide') =>
  openStreamExport(organization, dataId, { layout }, { limits: exportLimits, plausible: httpLimits, now: Date.now });

describe('a stream that is being removed for good is never read in part', () => {
  test.each([
    ['as a time series', openRead, (read) => timeseriesAnswer(read, {}, { withSeries: true, namesOnly: false })],
    [
      'down-sampled',
      openRead,
      (read) => timeseriesAnswer(read, { max_points: 4 }, { withSeries: false, namesOnly: false }),
    ],
    [
      'in a window',
      openRead,
      (read) => timeseriesAnswer(read, { endMs: 1.8e12 }, { withSeries: false, namesOnly: false }),
    ],
    ['for polling', openRead, (read) => rheedAnswer(read, {})],
    ['as staged', openRead, (read) => stagedAnswer(read, null)],
  ] satisfies [string, unknown, (read: Awaited<ReturnType<typeof openRead>>) => AsyncIterable<unknown>][])(
    '%s',
    async (_, open, answer) => {
      const dataId = await filledStream();
      const read = await open(dataId);
      await removeHalf(dataId);
      await expect(readAll(answer(read))).rejects.toMatchObject(gone);
    },
  );

  test('raw', async () => {
    const dataId = await filledStream();
    const [channel] = (await openRead(dataId)).channels;
    await removeHalf(dataId);
    const chunks = openStored(deps(), channel as NonNullable<typeof channel>, { from: 0, to: 9 });
    await expect(chunks).rejects.toMatchObject(gone);
  });

  test.each(['long', 'wide'] as const)('as a file, %s', async (layout) => {
    const dataId = await filledStream();
    const exported = await openExport(dataId, layout);
    await removeHalf(dataId);
    const read = layout === 'long' ? readLong(deps(), exported) : readWide(deps(), exported, 100);
    await expect(readAll(read)).rejects.toMatchObject(gone);
  });

  test('in a certificate or a ledger', async () => {
    const dataId = await filledStream();
    const read = await openLedgerRead({ organization, reading: freely }, dataId, ledger);
    await removeHalf(dataId);
    await expect(readAll(certificateAnswer(read))).rejects.toMatchObject(gone);
    await expect(readAll(ledgerAnswer(read, { withHashes: false }))).rejects.toMatchObject(gone);
  });

  test('in a ledger or a certificate, deleted at the very moment, with all its channels and chunks still there', async () => {
    for (const answer of [certificateAnswer, (read: never) => ledgerAnswer(read, { withHashes: true })]) {
      const dataId = await filledStream();
      const read = await openLedgerRead({ organization, reading: freely }, dataId, ledger);
      await server.owner.pool.query('update streams set deleted_at = now() where data_id = $1::uuid', [dataId]);
      await expect(readAll(answer(read as never))).rejects.toMatchObject(gone);
    }
  });

  test('in the hashes of a ledger that has begun', async () => {
    const dataId = await filledStream(25_000);
    const read = await openLedgerRead({ organization, reading: freely }, dataId, ledger);
    const answer = ledgerAnswer(read, { withHashes: true });
    await answer.next();
    await removeHalf(dataId);
    await expect(readAll(answer)).rejects.toMatchObject(gone);
  });

  test('in the list of its revisions', async () => {
    const dataId = await filledStream();
    await removeHalf(dataId);
    const list = revisionsAnswer(organization, dataId, {}, ledgerLimits);
    await expect(readAll(list)).rejects.toMatchObject(gone);
  });
});
