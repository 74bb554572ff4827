import pg from 'pg';
import { countsOf } from '../support/ask.ts';
import { chunkPath, expectStatuses, multiPath, slowest } from '../support/attack.ts';
import { chunkBody, multiBody } from '../support/bodies.ts';
import type { Ground, Row } from '../support/ground.ts';

/** One bad row is one bad row: sessions of psql that hold something, late chunks, very many channels. */
export const ingest: Row[] = [
  {
    name: 'held-channel',
    about: 'a session of psql holds a row of channels: chunks of that channel wait, 46 others do not',
    run: (ground) =>
      besideHeld(ground, 'select from channels where data_id = $1 for update', 'the chunk of the held channel'),
  },
  {
    name: 'held-stream',
    about: 'a session of psql holds the row of a stream',
    run: (ground) =>
      besideHeld(ground, 'select from streams where data_id = $1 for update', 'the chunk of the held stream'),
  },
  {
    name: 'held-address',
    about: 'a session of psql has stored the very chunk and does not commit',
    run: (ground) =>
      besideHeld(
        ground,
        `insert into chunks
         select (jsonb_populate_record(chunks, '{"chunk_index": 1, "start_offset": 100}')).*
         from chunks where data_id = $1 and chunk_index = 0`,
        'the chunk that is being stored',
      ),
  },
  {
    name: 'late-chunk-behind-a-lock',
    about: 'no grace, and a channel is held while its stream is finalized: no chunk is stored after it is answered',
    own: { settings: { FINALIZE_GRACE_SECONDS: '0' } },
    run: finalizeBehindLock,
  },
  {
    name: 'many-live-channels',
    about: '10,000 channels, 51,000 in full, live at once: they are stored nearly as fast as 1,000',
    own: 'quiet',
    run: storeManyChannels,
  },
];

const key = ({ keys }: Ground) => keys.attacker;
const at = (dataId: string, index: number, channel = 'held') => ({ dataId, index, channel });

/** A stream with one chunk, and a session that holds something of it. @returns its id and what lets go */
async function held(ground: Ground, statement: string) {
  const dataId = await ground.openStream(key(ground));
  const first = await ground.ask('POST', chunkPath, { key: key(ground), body: chunkBody(at(dataId, 0), 100) });
  if (first.status !== 201) throw new Error(`the first chunk: ${first.status} ${first.body}`);
  const session = new pg.Client({ connectionString: ground.lab.cluster.url(ground.site.database) });
  session.on('error', () => {});
  await session.connect();
  await session.query('begin');
  const { rowCount } = await session.query(statement, [dataId]);
  if (rowCount !== 1) throw new Error(`${statement} holds ${rowCount} rows`);
  return { dataId, letGo: () => session.end() };
}

async function besideHeld(ground: Ground, statement: string, what: string): Promise<void> {
  const { dataId, letGo } = await held(ground, statement);
  const others = await Promise.all(Array.from({ length: 46 }, () => ground.openStream(ground.keys.third)));
  await ground.watched(async () => {
    const waiting = ground.ask('POST', chunkPath, { key: key(ground), body: chunkBody(at(dataId, 1), 101) });
    let index = 0;
    const answers = [];
    while (!ground.isOver()) {
      const wave = others.map((other) => {
        const body = chunkBody(at(other, index), 100);
        return ground.ask('POST', chunkPath, { key: ground.keys.third, body, answerMsMax: 5_000 });
      });
      index++;
      answers.push(...(await Promise.all(wave)));
      await ground.rest(200);
    }
    const letGoAt = performance.now();
    await letGo();
    const last = await waiting;
    const lateMs = performance.now() - letGoAt;
    ground.note(`${countsOf(answers)}; ${what}: ${last.status} after ${Math.round(last.ms)} ms`);
    expectStatuses(ground, 'an unrelated chunk', answers, [201]);
    ground.measure('slowest unrelated chunk', slowest(answers), { max: 1_000, unit: 'ms' });
    expectStatuses(ground, what, [last], [201]);
    ground.measure(`${what}, after it was let go`, lateMs, { max: 5_000, unit: 'ms' });
  });
}

async function finalizeBehindLock(ground: Ground): Promise<void> {
  const { dataId, letGo } = await held(ground, 'select from channels where data_id = $1 for update');
  await ground.watched(async () => {
    const store = (index: number) =>
      ground.ask('POST', chunkPath, { key: key(ground), body: chunkBody(at(dataId, index), 100 + index) });
    const before = store(1);
    await ground.rest(300);
    const finalized = await ground.ask('POST', `/tool-state/stream/${dataId}/finalize`, { key: key(ground), body: '' });
    const after = store(2);
    await ground.rest(500);
    await letGo();
    const [early, late] = await Promise.all([before, after]);
    ground.note(`finalize ${finalized.status}, chunk before it ${early.status}, chunk after it ${late.status}`);
    expectStatuses(ground, 'finalize', [finalized], [200]);
    // Where there is no grace, what is answered after finalize was is refused, whenever it came.
    expectStatuses(ground, 'a chunk that came before finalize', [early], [409]);
    expectStatuses(ground, 'a chunk that came after finalize was answered', [late], [409]);
    const stored = await ground.query(`select chunk_index from chunks where data_id = '${dataId}' order by 1`);
    const acknowledged = [0, ...(early.status === 201 ? [1] : []), ...(late.status === 201 ? [2] : [])];
    const indexes = stored.map((row) => Number(row.chunk_index));
    if (indexes.join() !== acknowledged.join()) ground.blame(`stored ${indexes}, acknowledged ${acknowledged}`);
  });
}

async function storeManyChannels(ground: Ground): Promise<void> {
  const requests = ground.size(10, 51);
  const open = (count: number) => Promise.all(Array.from({ length: count }, () => ground.openStream(key(ground))));
  const [narrow = ''] = await open(1);
  const wide = await open(requests);
  /** Chunks of 1,000 channels each, four requests at a time. @returns chunks a second */
  const rateOf = async (target: (i: number) => string, index: (i: number) => number) => {
    const bodies = Array.from({ length: requests }, (_, i) => multiBody(target(i), index(i), 1_000, 1));
    const startedAt = performance.now();
    let next = 0;
    const one = async () => {
      for (let i = next++; i < requests; i = next++) {
        const { status, body } = await ground.ask('POST', multiPath, { key: key(ground), body: bodies[i] as Buffer });
        if (status !== 201) ground.blame(`a legal chunk: ${status} ${body.slice(0, 200)}`);
      }
    };
    await Promise.all(Array.from({ length: 4 }, one));
    return (requests * 1_000 * 1_000) / (performance.now() - startedAt);
  };
  await rateOf(
    (i) => wide[i] as string,
    () => 0,
  );
  await rateOf(
    () => narrow,
    (i) => i,
  );
  await ground.watched(async () => {
    const few = await rateOf(
      () => narrow,
      (i) => requests + i,
    );
    const many = await rateOf(
      (i) => wide[i] as string,
      () => 1,
    );
    ground.measure('chunks of 1,000 channels', few, { unit: 'a second' });
    ground.measure(`chunks of ${requests},000 channels`, many, { min: few * 0.7, unit: 'a second' });
  });
}
