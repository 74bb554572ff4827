/**
 * Rows of `chunks` and `chunk_revisions` of all organizations, in order of their keys. For commands of the operator
 * that read all of them page by page.
 */
import { hasSqlstate, sqlstateClasses } from './sqlstates.ts';

/** Where contents are stored: the current ones of chunks, and those that were replaced. */
export type ContentTable = 'chunks' | 'chunk_revisions';

export interface ContentKey {
  dataId: string;
  channelId: number;
  chunkIndex: number;
  /** 0 for the current content. */
  revision: number;
}

/** Smaller than all keys. */
export const firstOfAll: ContentKey = {
  dataId: '00000000-0000-0000-0000-000000000000',
  channelId: -1,
  chunkIndex: -1,
  revision: -1,
};

/** In SQL the revision of a row `k`. */
export const revisionOf: Record<ContentTable, string> = { chunks: '0::integer', chunk_revisions: 'k.revision' };

/** In SQL the key of a row `k`, as columns of a result. */
export const contentKeyColumns = (table: ContentTable) =>
  `k.data_id as "dataId", k.channel_id as "channelId", k.chunk_index as "chunkIndex",
   ${revisionOf[table]} as revision`;

/**
 * In SQL the condition and order of the next page of rows `k`. Its parameters are the first five of a statement.
 * @param those a condition for rows, if not all are wanted
 */
export const contentPageSql = (table: ContentTable, those = 'true') => `
  where (k.data_id, k.channel_id, k.chunk_index, ${revisionOf[table]}) > ($1::uuid, $2::bigint, $3::bigint, $4::integer)
    and (k.data_id, k.channel_id, k.chunk_index) >= ($1::uuid, $2::bigint, $3::bigint) and ${those}
  order by k.data_id, k.channel_id, k.chunk_index, ${revisionOf[table]}
  limit $5::integer`;

export const pageParameters = ({ dataId, channelId, chunkIndex, revision }: ContentKey, limit: number) => [
  dataId,
  channelId,
  chunkIndex,
  revision,
  limit,
];

/** Describes a content within its stream. @param channelName null where the channel is gone */
export function contentPlaceOf({
  channelName,
  channelId,
  chunkIndex,
  revision,
}: ContentKey & { channelName: string | null }) {
  const channel = channelName === null ? `channel number ${channelId}` : `channel "${channelName}"`;
  return `${channel}, chunk ${chunkIndex}${revision > 0 ? `, replaced content ${revision}` : ''}`;
}

/** Data corrupted, index corrupted, or an internal error of PostgreSQL, such as a missing piece of an array. */
export function isDamage(error: unknown): boolean {
  return hasSqlstate(error, sqlstateClasses.internalError);
}
