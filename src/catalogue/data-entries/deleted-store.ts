import { sql } from 'kysely';
import type { OrganizationDatabase } from '../../database/organizations.ts';
import { ownersOf } from '../owners.ts';

/** A deleted entry. It can be restored unless its removal has begun. */
export interface DeletedEntry {
  data_id: string;
  name: string;
  status: 'deleted' | 'removing';
  created_at: string;
  deleted_at: string;
  channel_count: number;
  point_count: number;
  user: string;
}

/** The next deleted entries of an organization, the most recently opened first; at most `countMax`. */
export async function nextDeletedEntries(
  organization: OrganizationDatabase,
  after: Pick<DeletedEntry, 'data_id' | 'created_at'> | undefined,
  countMax: number,
): Promise<DeletedEntry[]> {
  const { organizationId, kysely } = organization;
  const { rows } = await sql<DeletedEntry>`
    with ${await ownersOf(organization)}
    select stream.data_id, stream.stream_name as name,
      case when stream.removed_at is null then 'deleted' else 'removing' end as status,
      stream.created_at, stream.deleted_at, channel.channel_count, channel.point_count, owner.name as user
    from streams as stream
    join owner on owner.user_id = stream.user_id and owner.organization_id = stream.organization_id
    cross join lateral (
      select count(*) as channel_count, coalesce(sum(point_count), 0)::bigint as point_count
      from channels where channels.data_id = stream.data_id and channels.chunk_count > 0
    ) as channel
    where stream.organization_id = ${organizationId}::uuid and stream.deleted_at is not null
      and (${after?.data_id}::uuid is null or stream.created_at < ${after?.created_at}::timestamptz
        or stream.created_at = ${after?.created_at}::timestamptz and stream.data_id > ${after?.data_id}::uuid)
    order by stream.created_at desc, stream.data_id
    limit ${countMax}::integer`.execute(kysely);
  return rows;
}
