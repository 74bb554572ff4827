import type { Database } from '../database/database.ts';
import { decodeFloat8Array } from '../database/float8-array.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { timestampsOfChunk, valuesOfChunk } from '../database/stored-series.ts';
import { groupBy } from '../lib/group-by.ts';
import type { ChannelReadings } from './chunk-image.ts';

/* The previous contents of replaced chunks: table chunk_revisions, which replaceChunks in chunk-store.ts fills. */

/** The address of one previous content of a chunk. */
export interface RevisionAddress {
  dataId: string;
  channelName: string;
  chunkIndex: number;
  revision: number;
}

/** The readings of a revision, or undefined where there is none. */
export async function readRevision(
  { organizationId, pool }: OrganizationDatabase,
  { dataId, channelName, chunkIndex, revision }: RevisionAddress,
): Promise<ChannelReadings | undefined> {
  const { rows } = await pool.query<{ timestamps: Buffer; values: Buffer; units: string | null }>({
    name: 'read_revision',
    text: `select array_send(${timestampsOfChunk('r')}) as timestamps,
                  array_send(${valuesOfChunk('r')}) as "values", r.units
           from streams s
           join channels c on c.data_id = s.data_id and c.channel_name = $3::text
           join chunk_revisions r on r.data_id = c.data_id and r.channel_id = c.channel_id
           where s.organization_id = $1::uuid and s.data_id = $2::uuid and s.deleted_at is null
             and r.chunk_index = $4::bigint and r.revision = $5::integer`,
    values: [organizationId, dataId, channelName, chunkIndex, revision],
  });
  return rows.map(({ timestamps, values, units }) => ({
    timestamps: readingsOf(timestamps),
    values: readingsOf(values),
    units,
  }))[0];
}

const readingsOf = (image: Buffer) =>
  Array.from(decodeFloat8Array(image), (reading) => (Number.isNaN(reading) ? null : reading));

/**
 * Removes up to `countMax` revisions that were replaced more than `keepDays` ago, of all organizations.
 * @returns how many
 */
export async function deleteOldRevisions(database: Database, keepDays: number, countMax: number): Promise<number> {
  if (await database.isDistributed()) return deleteByStream(database, keepDays, countMax);
  const { rowCount } = await database.everyOrganization.upkeep.pool.query({
    name: 'delete_old_revisions',
    text: `delete from chunk_revisions where ctid = any (array(
             select ctid from chunk_revisions
             where ${isOld} order by replaced_at limit $2::integer for update skip locked))`,
    values: [keepDays, countMax],
  });
  return rowCount ?? 0;
}

const isOld = 'replaced_at < clock_timestamp() - make_interval(days => $1::integer)';

/** The same in a cluster: stream by stream, by key. Another server that does so at the same time waits, and removes nothing. */
async function deleteByStream(database: Database, keepDays: number, countMax: number): Promise<number> {
  const { pool } = database.everyOrganization.upkeep;
  const { rows } = await pool.query<Revision>(
    `select data_id as "dataId", channel_id as "channelId", chunk_index as "chunkIndex", revision from chunk_revisions
     where ${isOld} order by replaced_at limit $2::integer`,
    [keepDays, countMax],
  );
  for (const [dataId, ofStream] of groupBy(rows, (row) => row.dataId)) {
    await pool.query(
      `delete from chunk_revisions k
       using unnest($2::bigint[], $3::bigint[], $4::integer[]) as r (channel_id, chunk_index, revision)
       where k.data_id = $1::uuid and k.channel_id = r.channel_id and k.chunk_index = r.chunk_index
         and k.revision = r.revision`,
      [
        dataId,
        ofStream.map(({ channelId }) => channelId),
        ofStream.map(({ chunkIndex }) => chunkIndex),
        ofStream.map(({ revision }) => revision),
      ],
    );
  }
  return rows.length;
}

interface Revision {
  dataId: string;
  channelId: number;
  chunkIndex: number;
  revision: number;
}
