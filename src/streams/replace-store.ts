import type pg from 'pg';
import { addGrowth, ofGrowth } from './channel-growth.ts';
import {
  keptColumns,
  keptColumnsOfChunk,
  replacedColumns,
  rowsParameters,
  rowsParametersCount,
  rowsSql,
} from './chunk-columns.ts';
import type { KnownRow } from './ingest-rows.ts';
import { type Differences, insertsReturning, inTwoForms } from './statement-forms.ts';
import { type PartOptions, sendInParts } from './statement-parts.ts';

/**
 * Replaces whole chunks, keeps their previous content as revisions, and corrects the counters of their channels by the
 * difference. Span and unit only grow here; recountChannels lets them shrink.
 * @returns the points of their channels
 */
export async function replaceChunks(
  client: pg.PoolClient,
  rows: readonly KnownRow[],
  options: PartOptions,
): Promise<{ channelId: number; pointCount: number }[]> {
  return sendInParts(client, rows, options, replaceStatement, rowsParameters);
}

/**
 * The chunk `k` of a row `b`. In a cluster a place (ctid) is no condition that a statement may have.
 */
const ofPlace = ({ and, either }: Differences) =>
  either('k.ctid = b.place', `k.channel_id = b.channel_id and k.chunk_index = b.chunk_index ${and('k.data_id')}`);

/** A cluster has no trigger that does this (migration 0014). */
const forgetOverviews = ({ and }: Differences) => `, forgotten as (
    delete from overviews o using before b, generate_series(1, 8) as n
    where o.channel_id = b.channel_id and o."level" = n and o.block = b.chunk_index >> (6 * n) ${and('o.data_id')}
  )`;

const replaceStatement = inTwoForms(
  'replace_chunks',
  rowsParametersCount,
  (differences) => `
  with r as (${rowsSql}),
  before as materialized (
    select r.*, k.ctid as place, k.point_count as points_before, k.null_count as nulls_before
    from r cross join lateral (
      select ctid, point_count, null_count from chunks
      where data_id = r.data_id and channel_id = r.channel_id and chunk_index = r.chunk_index
        ${differences.and('data_id')} limit 1
    ) k
  ), kept as (
    insert into chunk_revisions (${keptColumns}, revision, replaced_by_key_id, stored_at, replacing_hash)
    select ${keptColumnsOfChunk}, k.replaced_count + 1, b.key_id, k.changed_at, b.content_hash
    from before b join chunks k on ${ofPlace(differences)}
    ${insertsReturning(differences, 'revision')}
  ), replaced as (
    update chunks k
    set ${replacedColumns}, changed_at = clock_timestamp(), replaced_count = k.replaced_count + 1
    from before b
    where ${ofPlace(differences)}
  )${differences.either('', forgetOverviews(differences))}, growth as (
    select data_id, channel_id, 0 as chunks, sum(point_count - points_before) as points,
           sum(null_count - nulls_before) as nulls, min(time_min) as time_min, max(time_max) as time_max,
           max(time_max - time_min) as seconds_max,
           max(chunk_index) filter (where units is not null) as units_chunk_index,
           (array_agg(units order by chunk_index desc) filter (where units is not null))[1] as units
    from before group by data_id, channel_id
  )
  update channels c set ${addGrowth(differences)}
  ${ofGrowth(differences)} ${differences.and('c.data_id')}
  returning c.channel_id as "channelId", c.point_count as "pointCount"`,
);
