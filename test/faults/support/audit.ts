import pg from 'pg';
import { timestampsOfChunk, valuesOfChunk } from '../../../src/database/stored-series.ts';
import type { Client } from './client.ts';
import { type Content, contentOf, hashOf, type Image, imageOf } from './content.ts';
import type { Address, History } from './history.ts';

/** Something that is not as it was acknowledged. */
export interface Violation {
  /** Where, in words. */
  place: string;
  what: string;
  /** Every attempt to write there. */
  history: string[];
}

export interface Audit {
  chunks: number;
  violations: Violation[];
}

export interface AuditOptions {
  history: History;
  databaseUrl: string;
  /** One for each server: what is acknowledged is readable from all. */
  clients: readonly Client[];
  /** Default: all of the history. */
  dataIds?: readonly string[];
}

/** Compares every chunk of a history by content with what PostgreSQL holds and with what the API answers. */
export async function audit({ history, databaseUrl, clients, dataIds }: AuditOptions): Promise<Audit> {
  const result: Audit = { chunks: 0, violations: [] };
  const database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  try {
    for (const dataId of dataIds ?? history.streams())
      await auditStream(dataId, database, { history, clients }, result);
  } finally {
    await database.end();
  }
  return result;
}

interface ChannelRow {
  channel_id: string;
  channel_name: string;
  points_per_chunk: number;
  chunk_count: number;
  point_count: number;
  null_count: number;
}

interface ChunkRow {
  index: number;
  start_offset: string;
  point_count: number;
  null_count: number;
  units: string | null;
  content_hash: Buffer;
  timestamps: Buffer;
  values: Buffer;
}

async function auditStream(
  dataId: string,
  database: pg.Client,
  { history, clients }: Pick<AuditOptions, 'history' | 'clients'>,
  result: Audit,
): Promise<void> {
  const { rows: channels } = await database.query<ChannelRow>(
    `select c.channel_id, c.channel_name, s.points_per_chunk, c.chunk_count::int, c.point_count::int, c.null_count::int
     from channels c join streams s using (data_id) where data_id = $1::uuid`,
    [dataId],
  );
  const known = new Map(channels.map((channel) => [channel.channel_name, channel]));
  const present = new Set<string>();
  for (const name of new Set([...known.keys(), ...history.channels(dataId)])) {
    const channel = known.get(name);
    const rows = channel === undefined ? [] : await readChunks(database, dataId, channel.channel_id);
    const place = { dataId, channel: name };
    for (const { index } of rows) present.add(placeOf({ ...place, index }));
    const stood = auditRows(history, place, channel, rows, result);
    for (const [i, client] of clients.entries()) {
      await auditAnswer(client, `server ${i + 1}`, history, place, channel, stood, result);
    }
  }
  for (const places of history.doubtful(dataId)) {
    const there = places.filter((place) => present.has(placeOf(place)));
    if (there.length === 0 || there.length === places.length) continue;
    const [first] = there as [Address];
    const what = `of a request of ${places.length} channels only ${there.length} are stored`;
    result.violations.push({ place: placeOf(first), what, history: history.tell(first) });
  }
}

async function readChunks(database: pg.Client, dataId: string, channelId: string): Promise<ChunkRow[]> {
  const { rows } = await database.query<ChunkRow>(
    `select chunk_index::int as index, start_offset, point_count, null_count, units, content_hash,
            array_send(${timestampsOfChunk('k')}) as timestamps, array_send(${valuesOfChunk('k')}) as values
     from chunks k where data_id = $1::uuid and channel_id = $2::bigint order by chunk_index`,
    [dataId, channelId],
  );
  return rows;
}

/** @returns the content that stands under each index, where it is one that may */
function auditRows(
  history: History,
  at: Omit<Address, 'index'>,
  channel: ChannelRow | undefined,
  rows: readonly ChunkRow[],
  result: Audit,
): Map<number, Content> {
  const stood = new Map<number, Content>();
  const byIndex = new Map(rows.map((row) => [row.index, row]));
  for (const index of new Set([...byIndex.keys(), ...history.indexes(at.dataId, at.channel)])) {
    const address = { ...at, index };
    const { contents, absent } = history.allowed(address);
    const row = byIndex.get(index);
    const blame = (what: string) =>
      result.violations.push({ place: placeOf(address), what, history: history.tell(address) });
    result.chunks++;
    if (row === undefined) {
      if (!absent) blame('an acknowledged chunk is missing');
      continue;
    }
    const found = [...contents].find((number) => isSame(row, imageOf(contentOf(number)), contentOf(number)));
    if (found === undefined) {
      blame(contents.size === 0 ? 'a chunk stands that was refused or never sent' : mismatch(row, contents));
      continue;
    }
    stood.set(index, contentOf(found));
    const { values } = contentOf(found);
    const nulls = values.filter((value) => value === null).length;
    const offset = String(index * (channel?.points_per_chunk ?? 0));
    if (row.point_count !== values.length || row.null_count !== nulls || row.start_offset !== offset) {
      const counted = `point_count ${row.point_count}, null_count ${row.null_count}, start_offset ${row.start_offset}`;
      blame(`${counted} beside ${values.length} points, ${nulls} of them null, at offset ${offset}`);
    }
  }
  auditCounters(at, channel, rows, result);
  return stood;
}

function isSame(row: ChunkRow, image: Image, content: Content): boolean {
  return (
    row.timestamps.equals(image.timestamps) &&
    row.values.equals(image.values) &&
    row.content_hash.equals(image.hash) &&
    row.units === (content.units || null)
  );
}

function mismatch(row: ChunkRow, contents: ReadonlySet<number>): string {
  const own = hashOf(row.timestamps, row.values, row.units);
  const kind = own.equals(row.content_hash) ? 'another content' : 'a torn content (its hash is not that of its arrays)';
  return `${kind} stands: ${row.point_count} points; allowed were the contents ${[...contents].join(', ')}`;
}

function auditCounters(
  { dataId, channel: name }: Omit<Address, 'index'>,
  channel: ChannelRow | undefined,
  rows: readonly ChunkRow[],
  { violations }: Audit,
): void {
  const sum = (of: (row: ChunkRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  const counted = { chunks: rows.length, points: sum((row) => row.point_count), nulls: sum((row) => row.null_count) };
  const { chunk_count: chunks = 0, point_count: points = 0, null_count: nulls = 0 } = channel ?? {};
  if (chunks === counted.chunks && points === counted.points && nulls === counted.nulls) return;
  violations.push({
    place: `stream ${dataId}, channel "${name}"`,
    what: `counters ${JSON.stringify({ chunks, points, nulls })} beside chunks ${JSON.stringify(counted)}`,
    history: [],
  });
}

interface PointsAnswer {
  point_count: number;
  chunks: {
    chunk_index: number;
    start_offset: number;
    units: string | null;
    timestamps: (number | null)[];
    values: (number | null)[];
  }[];
}

/** The API must show exactly what stands, from every server. */
async function auditAnswer(
  client: Client,
  server: string,
  history: History,
  { dataId, channel: name }: Omit<Address, 'index'>,
  channel: ChannelRow | undefined,
  stood: ReadonlyMap<number, Content>,
  { violations }: Audit,
): Promise<void> {
  const answer = await client.send('GET', `/tool-state/${dataId}/points/?channel=${encodeURIComponent(name)}`);
  const isThere = (channel?.point_count ?? 0) > 0;
  const place = `stream ${dataId}, channel "${name}", ${server}`;
  if (answer.status !== (isThere ? 200 : 404)) {
    violations.push({ place, what: `points are answered ${answer.status} ${answer.body.slice(0, 200)}`, history: [] });
  }
  if (answer.status !== 200) return;
  const { point_count, chunks } = JSON.parse(answer.body) as PointsAnswer;
  const points = chunks.reduce((sum, { values }) => sum + values.length, 0);
  if (point_count !== points || points !== channel?.point_count) {
    const what = `point_count ${point_count} and ${points} points are answered; ${channel?.point_count} are stored`;
    violations.push({ place, what, history: [] });
  }
  const shown = new Map(chunks.map((chunk) => [chunk.chunk_index, chunk]));
  for (const [index, { timestamps, values, units }] of stood) {
    const chunk = shown.get(index);
    const isRight =
      chunk !== undefined &&
      isSameList(chunk.timestamps, timestamps) &&
      isSameList(chunk.values, values) &&
      chunk.units === (units || null) &&
      chunk.start_offset === index * (channel?.points_per_chunk ?? 0);
    if (isRight) continue;
    const address = { dataId, channel: name, index };
    const what = chunk === undefined ? 'an acknowledged chunk is not answered' : 'another content is answered';
    violations.push({ place: `${placeOf(address)}, ${server}`, what, history: history.tell(address) });
  }
}

const isSameList = (one: readonly unknown[], other: readonly unknown[]) =>
  one.length === other.length && one.every((value, i) => Object.is(value, other[i]));

function placeOf({ dataId, channel, index }: Address): string {
  return `stream ${dataId}, channel "${channel}", chunk ${index}`;
}
