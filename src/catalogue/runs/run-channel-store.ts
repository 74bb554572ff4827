import { sql } from 'kysely';
import type { OrganizationDatabase } from '../../database/organizations.ts';

/** A channel of a run that holds chunks. Times are in Unix seconds. */
export interface RunChannel {
  channel_name: string;
  units: string | null;
  chunk_count: number;
  point_count: number;
  null_count: number;
  time_min: number | null;
  time_max: number | null;
}

/** The next channels of a run, in the order of the bytes of their names; at most `countMax`. */
export async function nextChannels(
  { organizationId, kysely }: OrganizationDatabase,
  dataId: string,
  after: Pick<RunChannel, 'channel_name'> | undefined,
  countMax: number,
): Promise<RunChannel[]> {
  const { rows } = await sql<RunChannel>`
    select channel_name, units, chunk_count, point_count, null_count, time_min, time_max from channels
    where organization_id = ${organizationId}::uuid and data_id = ${dataId}::uuid and chunk_count > 0
      and (${after?.channel_name}::text is null or channel_name collate "C" > ${after?.channel_name}::text)
    order by channel_name collate "C"
    limit ${countMax}::integer`.execute(kysely);
  return rows;
}
