import { callApi, queryOf } from './client.ts';

/** First and last chunk_index of a run of chunks. */
export type ChunkRange = [number, number];

export interface LedgerChannel {
  channel_name: string;
  units: string | null;
  chunk_count: number;
  highest_chunk_index: number;
  missing_count: number;
  missing: ChunkRange[];
  /** Indexes below the highest one that the client left out on purpose, such as every second one. */
  skipped_count: number;
  irregular: {
    chunk_index: number;
    last_chunk_index: number;
    chunk_count: number;
    point_count: number;
    irregularities: string[];
  }[];
  point_count: number;
  null_count: number;
  present: ChunkRange[];
  first_stored_at: string;
  last_changed_at: string;
  replaced_count: number;
  /** Chunks that were replaced, and chunks that were stored after the stream was finalized. */
  replaced?: MarkedChunks[];
  late?: MarkedChunks[];
}

export interface MarkedChunks {
  from_chunk: number;
  to_chunk: number;
  /** Unix seconds of their earliest and latest point. */
  time_min: number | null;
  time_max: number | null;
}

export interface Ledger {
  points_per_chunk: number;
  finalized_at: string | null;
  channels: LedgerChannel[];
}

export const readLedger = (dataId: string, channels: readonly string[], signal?: AbortSignal) =>
  callApi<Ledger>(`metrology/stream/${dataId}/chunks?${queryOf({ channel_name: channels, marks: true })}`, { signal });

export const readCertificate = (dataId: string) =>
  callApi<Record<string, unknown>>(`metrology/stream/${dataId}/certificate`);

export interface Revision {
  channel_name: string;
  chunk_index: number;
  revision: number;
  stored_at: string;
  stored_by: { key_hint: string | null; user_name: string | null };
  replaced_at: string;
  replaced_by: { key_hint: string | null; user_name: string | null };
  content_hash: string;
  point_count: number;
  units: string | null;
}

export interface Content {
  timestamps: (number | null)[];
  values: (number | null)[];
}

export const listRevisions = async (dataId: string, channel: string) =>
  (
    await callApi<{ revisions: Revision[] }>(
      `metrology/stream/${dataId}/chunks/revisions?${queryOf({ channel_name: [channel] })}`,
    )
  ).revisions;

export const readRevision = (dataId: string, { channel_name, chunk_index, revision }: Revision) =>
  callApi<Content>(`metrology/stream/${dataId}/chunks/revisions/${revision}?${queryOf({ channel_name, chunk_index })}`);

/** The current content of a chunk. */
export async function readChunk(dataId: string, channel: string, chunkIndex: number): Promise<Content> {
  const query = queryOf({ channel, from_chunk: chunkIndex, to_chunk: chunkIndex });
  const { chunks } = await callApi<{ chunks: Content[] }>(`metrology/${dataId}/points/?${query}`);
  return chunks[0] ?? { timestamps: [], values: [] };
}
