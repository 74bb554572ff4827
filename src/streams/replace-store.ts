import type pg from 'pg';
import { addGrowth, channelOfGrowth } from './channel-growth.ts';
import { keptColumns, keptColumnsOfChunk, replacedColumns, rowsParameters, rowsSql } from './chunk-columns.ts';
import type { KnownRow } from './ingest-rows.ts';
import { type PartOptions, sendInParts } from './statement-parts.ts';
import type { StoredChunk } from './stored-chunk.ts';
import { replaceOfStream } from './stream-writes.ts';

/**
 * Replaces whole chunks, keeps their previous content as revisions, and corrects the counters of their channels by the
 * difference. Span and unit only grow here; recountChannels lets them shrink.
 * @param storedAt the chunk that is stored in the slice of a row
 * @returns the points of their channels
 */
export async function replaceChunks(
  client: pg.PoolClient,
  rows: readonly KnownRow[],
  options: PartOptions,
  storedAt: (row: KnownRow) => StoredChunk,
): Promise<{ channelId: number; pointCount: number }[]> {
  if (options.form === 'one stream') return replaceOfStream(client, rows, storedAt);
  return sendInParts(client, rows, options.limits, {
    name: 'replace_chunks',
    text: replaceSql,
    values: rowsParameters,
  });
}

const replaceSql = `
  with r as (${rowsSql}),
  before as materialized (
    select r.*, k.ctid as place, k.point_count as points_before, k.null_count as nulls_before
    from r cross join lateral (
      select ctid, point_count, null_count from chunks
      where data_id = r.data_id and channel_id = r.channel_id and chunk_index = r.chunk_index limit 1
    ) k
  ), kept as (
    insert into chunk_revisions (${keptColumns}, revision, replaced_by_key_id, stored_at, replacing_hash)
    select ${keptColumnsOfChunk}, k.replaced_count + 1, b.key_id, k.changed_at, b.content_hash
    from before b join chunks k on k.ctid = b.place
  ), replaced as (
    update chunks k
    set ${replacedColumns}, changed_at = clock_timestamp(), replaced_count = k.replaced_count + 1
    from before b
    where k.ctid = b.place
  ), growth as (
    select data_id, channel_id, 0 as chunks, sum(point_count - points_before) as points,
           sum(null_count - nulls_before) as nulls, min(time_min) as time_min, max(time_max) as time_max,
           max(time_max - time_min) as seconds_max,
           max(chunk_index) filter (where units is not null) as units_chunk_index,
           (array_agg(units order by chunk_index desc) filter (where units is not null))[1] as units
    from before group by data_id, channel_id
  )
  update channels c set ${addGrowth()}
  from growth g cross join lateral (${channelOfGrowth}) as found
  where c.ctid = found.ctid
  returning c.channel_id as "channelId", c.point_count as "pointCount"`;
