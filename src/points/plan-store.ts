import { type ChannelAddress, chunksOf, onItsNode } from '../database/channel-address.ts';
import { copyRows, floatLiteral, integerLiteral as integer, uuidLiteral as uuid } from '../database/copy-out.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { notFound } from '../errors.ts';
import type { CopyRow } from '../lib/copy-binary.ts';
import type { Reading } from '../lib/reading.ts';
import type { Hole, Neighbour, TimedChunk } from './channel-source.ts';
import { type ChunkPlan, createChunkPlan, createSummaryPlan, type SummaryPlan } from './chunk-plan.ts';
import { isWholeRange, type MsRange, msMax, msOf } from './time.ts';

/*
 * Statements that find the chunks of a read, without their arrays. Each touches only the chunks that it returns. The chunks of a window
 * are found by the index chunks_by_time, which is on `channel_id::float8`. The condition names only this expression, and not the
 * stream: with the stream PostgreSQL could choose the primary key, and would walk through the whole channel. Only in a cluster the
 * stream is named too (`onItsNode`). A sub-select checks that
 * the channel belongs to the stream and the stream to the organization. A plan is always complete: when its stream is being removed,
 * the statement fails with 404.
 */

/** What planning needs. */
export interface PlanDependencies {
  rest: Reading['rest'];
  /**
   * The most chunks that are wanted. A plan by time may have more, which tells that it was cut: it then lacks some of the
   * range. A plan by index has at most as many, the first of its range.
   */
  chunksMax: number;
}

/** The chunks whose span of times touches a range, in order of time. */
export async function planByTime(
  organization: OrganizationDatabase,
  channel: ChannelAddress,
  range: MsRange,
  { rest, chunksMax }: PlanDependencies,
): Promise<ChunkPlan> {
  const those = await touching(organization, channel, range);
  const plan = await readTouching(range, chunksMax, async (rowsMax, onRow) => {
    const plan = createChunkPlan();
    await copyRows(
      organization,
      `select chunk_index, point_count, time_min, time_max from chunks
       where ${those} limit ${integer(rowsMax)}`,
      rest,
      (row) => {
        if (onRow(row)) addChunk(plan, row);
      },
    );
    return plan.byTime(rest);
  });
  return unlessRemoved(organization, channel, plan);
}

/** The same, with the extreme values of each chunk. */
export async function planWithSummaries(
  organization: OrganizationDatabase,
  channel: ChannelAddress,
  range: MsRange,
  { rest, chunksMax }: PlanDependencies,
): Promise<SummaryPlan> {
  const numberOf = (row: CopyRow, field: number) => (row.isNull(field) ? Number.NaN : row.float8(field));
  const those = await touching(organization, channel, range);
  const plan = await readTouching(range, chunksMax, async (rowsMax, onRow) => {
    const plan = createSummaryPlan();
    await copyRows(
      organization,
      `select chunk_index, point_count, time_min, time_max, value_min, value_min_time, value_max, value_max_time
       from chunks where ${those} limit ${integer(rowsMax)}`,
      rest,
      (row) => {
        if (!onRow(row)) return;
        addChunk(plan, row);
        plan.summarise(numberOf(row, 4), numberOf(row, 5), numberOf(row, 6), numberOf(row, 7));
      },
    );
    return plan.byTime(rest);
  });
  return unlessRemoved(organization, channel, plan);
}

/**
 * Makes a plan with all chunks of a range, or with more than `chunksMax` of them. The statement also returns chunks that miss the range
 * by less than `slackSeconds`; these are dropped. So when its rows end at the limit, the plan may look complete and not be. Then the
 * statement is sent again with twice the limit.
 * @param read sends the statement with a limit of `rowsMax` rows; `onRow` says whether a row belongs into the plan
 */
async function readTouching<Plan extends ChunkPlan>(
  range: MsRange,
  chunksMax: number,
  read: (rowsMax: number, onRow: (row: CopyRow) => boolean) => Promise<Plan>,
): Promise<Plan> {
  for (let rowsMax = chunksMax + 1; ; rowsMax *= 2) {
    let rows = 0;
    const plan = await read(rowsMax, (row) => {
      rows++;
      return touches(row, range);
    });
    if (rows < rowsMax || plan.length > chunksMax) return plan;
  }
}

/** The first chunks within a range of indexes, both ends included, in order of index. Their times are not filled in. */
export async function planByIndex(
  organization: OrganizationDatabase,
  channel: ChannelAddress,
  range: { from: number; to: number },
  { rest, chunksMax }: PlanDependencies,
): Promise<ChunkPlan> {
  const plan = createChunkPlan();
  await copyRows(
    organization,
    `select chunk_index, point_count from chunks where ${chunksOf(organization, channel)}
     and chunk_index between ${integer(range.from)} and ${integer(range.to)} order by chunk_index
     limit ${integer(chunksMax)}`,
    rest,
    (row) => plan.add(row.int8(0), row.int4(1), 0, 0),
  );
  return unlessRemoved(organization, channel, plan.asAdded());
}

/** The last chunks within a range of indexes, both ends included, the highest index first; at most `chunksMax`. */
export async function listHighest(
  { organizationId, pool }: OrganizationDatabase,
  { dataId, channelId }: ChannelAddress,
  range: { from: number; to: number },
  chunksMax: number,
): Promise<{ chunk_index: number; point_count: number }[]> {
  const { rows } = await pool.query<{ chunk_index: number; point_count: number }>(
    `select chunk_index, point_count from chunks
     where data_id = $2::uuid and channel_id = $3::bigint and chunk_index between $4::bigint and $5::bigint
       and exists (select from streams where data_id = $2::uuid and organization_id = $1::uuid)
     order by chunk_index desc limit $6::bigint`,
    [organizationId, dataId, channelId, range.from, range.to, chunksMax],
  );
  return rows;
}

/** The chunks that begin before a time (Unix seconds), the one that begins latest first; at most `chunksMax`. */
export async function listNewest(
  organization: OrganizationDatabase,
  { dataId, channelId }: ChannelAddress,
  beforeSeconds: number,
  chunksMax: number,
): Promise<TimedChunk[]> {
  const { organizationId, pool } = organization;
  const { rows } = await pool.query<TimedChunk>(
    // '-infinity' gives PostgreSQL a lower bound. Between two bounds it expects few chunks, whatever its statistics say, and walks the
    // index backwards from the end. With an upper bound alone it expects a third of all chunks. Without statistics of the channel it
    // would then sort them.
    `select chunk_index, point_count, time_min, time_max from chunks
     where ${await onItsNode(organization, 'chunks', dataId)}channel_id::float8 = $3::float8 and time_min > '-infinity' and time_min < $4::float8 and exists (
       select from channels join streams using (data_id)
       where data_id = $2::uuid and channel_id = $3::bigint and streams.organization_id = $1::uuid)
     order by time_min desc limit $5::bigint`,
    [organizationId, dataId, channelId, beforeSeconds, chunksMax],
  );
  return rows;
}

/**
 * The nearest stored chunk above each index of `above`, and below each of `below`. Only indexes whose direct neighbour is
 * missing are in the answer.
 */
export async function listNeighbours(
  { organizationId, pool }: OrganizationDatabase,
  { dataId, channelId }: ChannelAddress,
  { above = [], below = [] }: { above?: readonly number[]; below?: readonly number[] },
): Promise<{ above: Neighbour[]; below: Neighbour[] }> {
  const { rows } = await pool.query<Neighbour & { is_above: boolean }>({
    name: 'list_neighbours',
    text: `select * from (${neighboursSql('above', 4)} union all ${neighboursSql('below', 5)}) as found
      where exists (select from streams where data_id = $2::uuid and organization_id = $1::uuid)`,
    values: [organizationId, dataId, channelId, above, below],
  });
  return { above: rows.filter(({ is_above }) => is_above), below: rows.filter(({ is_above }) => !is_above) };
}

function neighboursSql(side: 'above' | 'below', parameter: number): string {
  const [beyond, order, step] = side === 'above' ? ['>', 'asc', 1] : ['<', 'desc', -1];
  return `select ${side === 'above'} as is_above, r.chunk_index, n.chunk_index as neighbour_index, t.time_min, t.time_max
     from unnest($${parameter}::bigint[]) as r (chunk_index)
     left join lateral (
       select chunk_index from chunks
       where data_id = $2::uuid and channel_id = $3::bigint and chunk_index ${beyond} r.chunk_index
       order by chunk_index ${order} limit 1
     ) n on true
     left join lateral (
       select time_min, time_max from chunks
       where data_id = $2::uuid and channel_id = $3::bigint and chunk_index ${beyond}= n.chunk_index
         and time_min is not null
       order by chunk_index ${order} limit 1
     ) t on true
     where n.chunk_index is distinct from r.chunk_index + ${step}`;
}

/**
 * For each hole in the indexes: the differences between successive stored indexes beside it, at most `stepsMax` before the hole and
 * `stepsMax` after it.
 */
export async function listStepsBeside(
  { organizationId, pool }: OrganizationDatabase,
  { dataId, channelId }: ChannelAddress,
  holes: readonly Hole[],
  stepsMax: number,
): Promise<number[][]> {
  const { rows } = await pool.query<{ before: number[]; after: number[] }>(
    `select array(
        select chunk_index::float8 from chunks
        where data_id = $2::uuid and channel_id = $3::bigint and chunk_index < hole.first
        order by chunk_index desc limit $6::bigint
      ) as before, array(
        select chunk_index::float8 from chunks
        where data_id = $2::uuid and channel_id = $3::bigint and chunk_index > hole.last
        order by chunk_index limit $6::bigint
      ) as after
     from unnest($4::bigint[], $5::bigint[]) with ordinality as hole (first, last, position)
     where exists (select from streams where data_id = $2::uuid and organization_id = $1::uuid)
     order by position`,
    [
      organizationId,
      dataId,
      channelId,
      holes.map((hole) => hole.fromChunk),
      holes.map((hole) => hole.toChunk),
      stepsMax + 1,
    ],
  );
  if (rows.length < holes.length) throw notFound('data_id');
  return rows.map(({ before, after }) => [before, after].flatMap(stepsBetween));
}

const stepsBetween = (indexes: number[]) =>
  indexes.slice(1).map((index, i) => Math.abs(index - (indexes[i] as number)));

/**
 * The condition for chunks that may touch a range. Such a chunk begins before the range by at most the span of the longest
 * chunk of the channel. The statement looks that span up itself, so that both are of the same snapshot.
 */
async function touching(organization: OrganizationDatabase, channel: ChannelAddress, range: MsRange): Promise<string> {
  if (isWholeRange(range)) return `${chunksOf(organization, channel)} and time_min is not null`;
  const seconds = (ms: number, slack: number) => floatLiteral(Math.max(-msMax, Math.min(ms, msMax)) / 1_000 + slack);
  const from = seconds(range.fromMs, -slackSeconds);
  // Both bounds are given even where the range has only one. Between two bounds PostgreSQL expects few chunks, whatever its statistics
  // say, and takes the index. With one bound, whose value it learns only when it runs, it expects a third of all chunks and reads the
  // whole channel. The subtraction is inside the sub-select: under a row-level security policy PostgreSQL 15 does not use the index for
  // a subtraction outside of it.
  return `${await onItsNode(organization, 'chunks', channel.dataId)}channel_id::float8 = ${floatLiteral(channel.channelId)} and time_max >= ${from}
    and time_min between (
      select ${from} - chunk_seconds_max from channels join streams using (data_id)
      where data_id = ${uuid(channel.dataId)} and channel_id = ${integer(channel.channelId)}
        and streams.organization_id = ${uuid(organization.organizationId)} and removed_at is null
    ) and ${seconds(range.toMs, slackSeconds)}`;
}

/** A plan without chunks may belong to a stream that is being removed. @throws ApiError 404 when it does */
async function unlessRemoved<Plan extends ChunkPlan>(
  { organizationId, pool }: OrganizationDatabase,
  { dataId }: ChannelAddress,
  plan: Plan,
): Promise<Plan> {
  if (plan.length > 0) return plan;
  const { rowCount } = await pool.query(
    'select from streams where data_id = $2::uuid and organization_id = $1::uuid and removed_at is null',
    [organizationId, dataId],
  );
  if (rowCount === 0) throw notFound('data_id');
  return plan;
}

/** More than rounding can shift a time: rounding to ms, and of float64 seconds at the ends of the possible times. */
const slackSeconds = 0.01;

/** Whether a row of chunk_index, point_count, time_min, time_max touches a range to the ms. */
const touches = (row: CopyRow, { fromMs, toMs }: MsRange) =>
  msOf(row.float8(3)) >= fromMs && msOf(row.float8(2)) <= toMs;

const addChunk = (plan: Pick<ReturnType<typeof createChunkPlan>, 'add'>, row: CopyRow) =>
  plan.add(row.int8(0), row.int4(1), row.float8(2), row.float8(3));
