import { integerLiteral, uuidLiteral } from './copy-out.ts';
import type { OrganizationDatabase } from './organizations.ts';

/** Identifies the chunks of one channel. */
export interface ChannelAddress {
  dataId: string;
  channelId: number;
}

/**
 * The condition for the chunks of a channel. It matches none if the stream belongs to another organization, and none
 * while the stream is being removed, since a part of them is gone already.
 */
export function chunksOf(
  { organizationId }: Pick<OrganizationDatabase, 'organizationId'>,
  { dataId, channelId }: ChannelAddress,
): string {
  const stream = uuidLiteral(dataId);
  return `data_id = ${stream} and channel_id = ${integerLiteral(channelId)} and exists (
    select from streams where streams.data_id = ${stream} and streams.organization_id = ${uuidLiteral(organizationId)}
      and streams.removed_at is null)`;
}

/**
 * What a statement says in addition in a cluster, so that Citus finds the node of the stream. On one PostgreSQL it says nothing: that
 * statement finds chunks by an index without the stream, and with the stream PostgreSQL could choose the primary key.
 * @param row the alias of a row of a distributed table
 * @returns a condition and an `and`
 */
export async function onItsNode(
  { isDistributed }: Pick<OrganizationDatabase, 'isDistributed'>,
  row: string,
  dataId: string,
): Promise<string> {
  return (await isDistributed()) ? `${row}.data_id = ${uuidLiteral(dataId)} and ` : '';
}
