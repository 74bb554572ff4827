/** Tags of an organization, one for each name (`one-per-name.ts`), and their links to streams. */
import type { Static } from '@sinclair/typebox';
import { sql } from 'kysely';
import type { OrganizationDatabase } from '../../database/organizations.ts';
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

/** Those ids that the organization has. The streams are locked in the order of ids, so that two callers cannot deadlock. */
const knownIds = (organizationId: string, dataIds: string[], tagIds: string[]) => sql`
    known_streams as materialized (
      select data_id from streams
      where organization_id = ${organizationId}::uuid and data_id = any(${dataIds}::uuid[]) and deleted_at is null
      order by data_id for no key update
    ), known_tags as materialized (
      select tag_id from tags where organization_id = ${organizationId}::uuid and tag_id = any(${tagIds}::uuid[])
    )`;

const areAllKnown = (dataIds: string[], tagIds: string[]) => sql`
  (select count(*) from known_streams) = ${dataIds.length}::bigint
  and (select count(*) from known_tags) = ${tagIds.length}::bigint`;

export interface LinkedTags {
  known_data_ids: string[];
  known_tag_ids: string[];
  associations_created: number;
  /** An entry that would have more tags than allowed; then nothing is stored. */
  crowded_data_id: string | null;
}

/**
 * Puts every tag on every stream in one statement. If the organization lacks one of them, nothing is stored, and the known
 * ids show which is missing. Nothing is stored either if a stream would have more than `entryTagsMax` tags. The ids must be
 * distinct and in lower case.
 */
export async function insertStreamTags(
  { organizationId, kysely }: OrganizationDatabase,
  dataIds: string[],
  tagIds: string[],
  entryTagsMax: number,
): Promise<LinkedTags> {
  const { rows } = await sql<LinkedTags>`
    with ${knownIds(organizationId, dataIds, tagIds)}, crowded as (
      select known.data_id from known_streams as known
      cross join lateral (
        select count(*) as tags from (
          select tag_id from stream_tags as held
          where held.data_id = known.data_id and held.organization_id = ${organizationId}::uuid
          union select tag_id from known_tags
        ) as together
      ) as together
      where together.tags > ${entryTagsMax}::bigint limit 1
    ), created as (
      insert into stream_tags (data_id, tag_id, organization_id)
      select data_id, tag_id, ${organizationId}::uuid from known_streams cross join known_tags
      where ${areAllKnown(dataIds, tagIds)}
        and not exists (select from crowded)
      order by data_id, tag_id
      on conflict do nothing
      returning data_id
    ), touched as (
      update streams set changed_at = clock_timestamp()
      where organization_id = ${organizationId}::uuid and data_id in (select data_id from created)
    )
    select array(select data_id::text from known_streams) as known_data_ids,
      array(select tag_id::text from known_tags) as known_tag_ids,
      (select count(*) from created) as associations_created, (select data_id::text from crowded) as crowded_data_id`.execute(
    kysely,
  );
  return rows[0] as LinkedTags;
}

export interface UnlinkedTags {
  known_data_ids: string[];
  known_tag_ids: string[];
  associations_removed: number;
}

/**
 * Takes every tag off every stream, or nothing if the organization lacks one of them; otherwise like `insertStreamTags`.
 */
export async function deleteStreamTags(
  { organizationId, kysely }: OrganizationDatabase,
  dataIds: string[],
  tagIds: string[],
): Promise<UnlinkedTags> {
  const { rows } = await sql<UnlinkedTags>`
    with ${knownIds(organizationId, dataIds, tagIds)}, removed as (
      delete from stream_tags
      where organization_id = ${organizationId}::uuid and data_id in (select data_id from known_streams)
        and tag_id in (select tag_id from known_tags)
        and ${areAllKnown(dataIds, tagIds)}
      returning data_id
    ), touched as (
      update streams set changed_at = clock_timestamp()
      where organization_id = ${organizationId}::uuid and data_id in (select data_id from removed)
    )
    select array(select data_id::text from known_streams) as known_data_ids,
      array(select tag_id::text from known_tags) as known_tag_ids,
      (select count(*) from removed) as associations_removed`.execute(kysely);
  return rows[0] as UnlinkedTags;
}
