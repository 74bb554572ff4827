/** Reads what is stored of a run, page by page, in the order of the archive. */
import { decodeFloat8Array } from '../database/float8-array.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import type { ArchivedChannel, ContentRow } from './archive-format.ts';
import type { RetentionLimits } from './limits.ts';
import { listChunkFacts, listKeptContents } from './run-store.ts';

export type ArchivedChannelRow = ArchivedChannel & { channel_id: number };

/** In the order of the UTF-8 bytes of their names, as in exports and certificates. */
const byName = (channels: readonly ArchivedChannelRow[]) =>
  channels.toSorted((one, other) => Buffer.compare(Buffer.from(one.channel_name), Buffer.from(other.channel_name)));

/** All chunks of a run by channel and index, then all replaced contents. */
export async function* contentRows(
  organization: OrganizationDatabase,
  dataId: string,
  channels: readonly ArchivedChannelRow[],
  limits: RetentionLimits,
): AsyncGenerator<ContentRow> {
  for (const { channel_id: channelId, channel_name } of byName(channels)) {
    for (let after = -1; ; ) {
      const page = await listChunkFacts(organization, { dataId, channelId }, after, limits.pageFactsMax);
      for (const facts of page) yield { channel_name, ...facts };
      if (page.length < limits.pageFactsMax) break;
      after = page.at(-1)?.chunk_index as number;
    }
  }
  for await (const { times, values, ...facts } of keptContents(organization, dataId, channels, limits)) yield facts;
}

/** A replaced content with its points; NaN stands for absent ones. */
export interface KeptPoints extends ContentRow {
  times: Float64Array;
  values: Float64Array;
}

export async function* keptContents(
  organization: OrganizationDatabase,
  dataId: string,
  channels: readonly ArchivedChannelRow[],
  limits: RetentionLimits,
): AsyncGenerator<KeptPoints> {
  for (const { channel_id: channelId, channel_name } of byName(channels)) {
    for (let after = { chunkIndex: -1, revision: 0 }; ; ) {
      const page = await listKeptContents(organization, { dataId, channelId }, after, limits.pageRevisionsMax);
      for (const { timestamps, values, ...facts } of page) {
        yield { channel_name, ...facts, times: decodeFloat8Array(timestamps), values: decodeFloat8Array(values) };
      }
      const last = page.at(-1);
      if (last === undefined || page.length < limits.pageRevisionsMax) break;
      after = { chunkIndex: last.chunk_index, revision: last.revision };
    }
  }
}
