/** Tags of an organization, one for each name (`one-per-name.ts`), and their links to streams. */
import type { Static } from '@sinclair/typebox';
import { sql } from 'kysely';
import type pg from 'pg';
import type { OrganizationDatabase } from '../../database/organizations.ts';
import { inTransaction } from '../../database/transactions.ts';
import { lockStreams } from '../lock-streams.ts';
import { findOrMake } from '../one-per-name.ts';
import type { Tag } from './schemas.ts';

export type TagRow = Static<typeof Tag>;

const columns = sql.raw('tag_id as id, name, created_at as created_datetime');

/** The next of the organization's tags, by name without regard to case. */
export async function nextTags(
  { organizationId, kysely }: OrganizationDatabase,
  after: Pick<TagRow, 'name'> | undefined,
  countMax: number,
): Promise<TagRow[]> {
  const { rows } = await sql<TagRow>`
    select ${columns} from tags
    where organization_id = ${organizationId}::uuid and (${after?.name}::text is null or lower(name) > lower(${after?.name}::text))
    order by lower(name) limit ${countMax}::integer`.execute(kysely);
  return rows;
}

/** The tag with that name, and whether it is new. It is created if the organization has none. */
export async function findOrInsertTag(organization: OrganizationDatabase, userId: string, name: string) {
  const { organizationId, kysely } = organization;
  const { id, isNew } = await findOrMake(organization, 'tags', name, async (client) => {
    const { rows } = await client.query<{ tag_id: string }>(
      `insert into tags (organization_id, user_id, name) values ($1::uuid, $2::uuid, $3::text)
       on conflict do nothing returning tag_id`,
      [organizationId, userId, name],
    );
    return rows[0]?.tag_id;
  });
  const { rows } = await sql<TagRow>`
    select ${columns} from tags where organization_id = ${organizationId}::uuid and tag_id = ${id}::uuid`.execute(
    kysely,
  );
  if (rows[0] === undefined) throw new Error('a tag that has just been there is gone');
  return { tag: rows[0], isNew };
}

export interface LinkedTags {
  known_data_ids: string[];
  known_tag_ids: string[];
  associations_created: number;
  /** An entry that would have more tags than allowed; then nothing is stored. */
  crowded_data_id: string | null;
}

/**
 * Puts every tag on every stream in one transaction. If the organization lacks one of them, nothing is stored, and the known
 * ids show which is missing. Nothing is stored either if a stream would have more than `entryTagsMax` tags. The ids must be
 * distinct and in lower case.
 */
export function insertStreamTags(
  organization: OrganizationDatabase,
  dataIds: string[],
  tagIds: string[],
  entryTagsMax: number,
): Promise<LinkedTags> {
  return inTransaction(organization.pool, async (client) => {
    const known = await lockKnown(client, organization, dataIds, tagIds);
    const nothing = { ...known, associations_created: 0, crowded_data_id: null };
    if (!areAllKnown(known, dataIds, tagIds)) return nothing;
    const ids = [organization.organizationId, dataIds, tagIds];
    const crowded = await client.query<{ data_id: string }>(
      `select stream.data_id from streams as stream
       where stream.organization_id = $1::uuid and stream.data_id = any($2::uuid[]) and (
         select count(*) from stream_tags as held
         where held.data_id = stream.data_id and held.organization_id = $1::uuid and held.tag_id <> all($3::uuid[])
       ) > $4::bigint - cardinality($3::uuid[])
       order by stream.data_id limit 1`,
      [...ids, entryTagsMax],
    );
    if (crowded.rows[0] !== undefined) return { ...nothing, crowded_data_id: crowded.rows[0].data_id };
    const created = await client.query<{ data_id: string }>(
      `insert into stream_tags (data_id, tag_id, organization_id)
       select stream.data_id, tag.tag_id, stream.organization_id
       from streams as stream join tags as tag on tag.organization_id = stream.organization_id
       where stream.organization_id = $1::uuid and stream.data_id = any($2::uuid[]) and tag.tag_id = any($3::uuid[])
       on conflict do nothing
       returning data_id`,
      ids,
    );
    await touchStreams(client, organization.organizationId, created.rows);
    return { ...nothing, associations_created: created.rows.length };
  });
}

export interface UnlinkedTags {
  known_data_ids: string[];
  known_tag_ids: string[];
  associations_removed: number;
}

/**
 * Takes every tag off every stream, or nothing if the organization lacks one of them; otherwise like `insertStreamTags`.
 */
export function deleteStreamTags(
  organization: OrganizationDatabase,
  dataIds: string[],
  tagIds: string[],
): Promise<UnlinkedTags> {
  return inTransaction(organization.pool, async (client) => {
    const known = await lockKnown(client, organization, dataIds, tagIds);
    if (!areAllKnown(known, dataIds, tagIds)) return { ...known, associations_removed: 0 };
    const removed = await client.query<{ data_id: string }>(
      `delete from stream_tags
       where organization_id = $1::uuid and data_id = any($2::uuid[]) and tag_id = any($3::uuid[])
       returning data_id`,
      [organization.organizationId, dataIds, tagIds],
    );
    await touchStreams(client, organization.organizationId, removed.rows);
    return { ...known, associations_removed: removed.rows.length };
  });
}

type Known = Pick<LinkedTags, 'known_data_ids' | 'known_tag_ids'>;

/** Those ids that the organization has. Locks the streams. */
async function lockKnown(
  client: pg.PoolClient,
  organization: OrganizationDatabase,
  dataIds: string[],
  tagIds: string[],
): Promise<Known> {
  const known_data_ids = await lockStreams(client, organization, dataIds);
  const { rows } = await client.query<{ tag_id: string }>(
    `select tag_id from tags where organization_id = $1::uuid and tag_id = any($2::uuid[])`,
    [organization.organizationId, tagIds],
  );
  return { known_data_ids, known_tag_ids: rows.map((row) => row.tag_id) };
}

const areAllKnown = (known: Known, dataIds: string[], tagIds: string[]) =>
  known.known_data_ids.length === dataIds.length && known.known_tag_ids.length === tagIds.length;

async function touchStreams(client: pg.PoolClient, organizationId: string, changed: { data_id: string }[]) {
  if (changed.length === 0) return;
  const dataIds = [...new Set(changed.map((row) => row.data_id))];
  await client.query(
    `update streams set changed_at = clock_timestamp()
     where organization_id = $1::uuid and data_id = any($2::uuid[])`,
    [organizationId, dataIds],
  );
}
