import type { OrganizationDatabase } from '../database/organizations.ts';
import type { Reading } from '../lib/reading.ts';
import type { AccountLimits, ChannelAccount } from './channel-account.ts';
import type { LedgerLimits } from './limits.ts';
import {
  type ChannelName,
  findStreamFacts,
  listChannelNames,
  readAccount,
  readContentHashes,
  type StreamFacts,
} from './store.ts';

/** What is known of a stream before the first byte of the answer, and how the rest is read. */
export interface LedgerRead {
  stream: StreamFacts;
  channels: ChannelName[];
  pageChunksMax: number;
  accountOf(channel: ChannelName): Promise<ChannelAccount>;
  /** The next hashes of a channel, at most `pageChunksMax`. Fewer mean that they are the last. */
  hashesAfter(channel: ChannelName, chunkIndex: number): ReturnType<typeof readContentHashes>;
}

/**
 * Opens a stream and those of its channels that hold chunks: all, or those with the given names.
 * @throws ApiError 404 for a stream that is unknown or of another organization
 */
export async function openLedgerRead(
  { organization, reading }: { organization: OrganizationDatabase; reading: Reading },
  dataId: string,
  limits: LedgerLimits & AccountLimits,
  names?: readonly string[],
): Promise<LedgerRead> {
  const { pageChunksMax } = limits;
  const stream = await findStreamFacts(organization, dataId);
  return {
    stream,
    pageChunksMax,
    channels: await listChannelNames(organization, stream.data_id, names),
    accountOf: (channel) => readAccount(organization, stream, channel, limits, reading.rest),
    hashesAfter: (channel, chunkIndex) =>
      readContentHashes(organization, stream.data_id, channel, chunkIndex, pageChunksMax),
  };
}
