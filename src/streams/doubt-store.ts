import type pg from 'pg';
import { type KnownRow, sliceKey } from './ingest-rows.ts';
import { type Form, inForm, inTwoForms } from './statement-forms.ts';

/** The chunk that is stored in the slice of a row in doubt. */
export interface DoubtfulChunk {
  channelId: number;
  chunkIndex: number;
  contentHash: Buffer;
  replacedCount: number;
  /** It was stored after the row was sent. */
  isRecent: boolean;
  /** The revision that holds the row's own content, stored after it was sent and replaced since; null where there is none. */
  ownRevision: number | null;
  channelPointCount: number;
}

/** The database's clock, in Unix seconds. */
export async function readClockSeconds(client: pg.PoolClient): Promise<number> {
  const { rows } = await client.query<{ seconds: number }>(
    'select extract(epoch from clock_timestamp())::float8 as seconds',
  );
  return (rows[0] as { seconds: number }).seconds;
}

/**
 * The chunks that are stored in the slices of rows, by `sliceKey`. The caller has locked their channels.
 * @param sentSeconds when a row was first sent, or slightly earlier, in Unix seconds of the database's clock
 */
export async function readDoubtfulChunks(
  client: pg.PoolClient,
  rows: readonly KnownRow[],
  sentSeconds: (row: KnownRow) => number,
  form: Form,
): Promise<Map<string, DoubtfulChunk>> {
  const values = [
    rows.map(({ item }) => item.dataId),
    rows.map(({ channelId }) => channelId),
    rows.map(({ item }) => item.chunkIndex),
    rows.map(sentSeconds),
    Buffer.concat(rows.map(({ image }) => image.contentHash)),
  ];
  const result = await client.query<DoubtfulChunk>(inForm(readStatement, form, values, rows));
  return new Map(result.rows.map((row) => [sliceKey(row.channelId, row.chunkIndex), row]));
}

const readStatement = inTwoForms(
  'read_doubtful_chunks',
  5,
  ({ and }) => `
  select k.channel_id as "channelId", k.chunk_index as "chunkIndex", k.content_hash as "contentHash",
         k.replaced_count as "replacedCount", k.changed_at >= r.sent_at as "isRecent",
         own.revision as "ownRevision", c.point_count as "channelPointCount"
  from (
    select data_id, channel_id, chunk_index, to_timestamp(seconds) as sent_at,
           substring($5::bytea from position::integer * 32 - 31 for 32) as content_hash
    from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::float8[]) with ordinality
      as given (data_id, channel_id, chunk_index, seconds, position)
  ) r
  cross join lateral (
    select * from chunks
    where data_id = r.data_id and channel_id = r.channel_id and chunk_index = r.chunk_index ${and('data_id')} limit 1
  ) k
  cross join lateral (select point_count from channels where channel_id = r.channel_id ${and('data_id')} limit 1) c
  left join lateral (
    select revision from chunk_revisions
    where data_id = r.data_id and channel_id = r.channel_id and chunk_index = r.chunk_index
      and content_hash = r.content_hash and stored_at >= r.sent_at ${and('data_id')}
    order by revision limit 1
  ) own on true`,
);
