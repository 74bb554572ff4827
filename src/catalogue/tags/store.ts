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
 * Puts every tag on every stream, in one transaction. If the organization lacks one of them, nothing is stored, and the known
 * ids show which is missing. Nothing is stored either if a stream would have more than `entryTagsMax` tags. The ids must be
 * distinct and in lower case.
 */
export async function insertStreamTags(
  organization: OrganizationDatabase,
  dataIds: string[],
  tagIds: string[],
  entryTagsMax: number,
): Promise<LinkedTags> {
  if (await organization.isDistributed()) return insertApart(organization, dataIds, tagIds, entryTagsMax);
  const { rows } = await organization.pool.query<LinkedTags>(
    `with ${knownSql}, crowded as (${crowdedSql}),
     created as (${createdSql(`${areAllKnown} and not exists (select from crowded)`)}),
     touched as (${touchedSql('in (select data_id from created)')})
     select ${knownIds}, (select count(*) from created) as associations_created,
       (select data_id::text from crowded) as crowded_data_id`,
    [organization.organizationId, dataIds, tagIds, entryTagsMax],
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
  organization: OrganizationDatabase,
  dataIds: string[],
  tagIds: string[],
): Promise<UnlinkedTags> {
  if (await organization.isDistributed()) return deleteApart(organization, dataIds, tagIds);
  const { rows } = await organization.pool.query<UnlinkedTags>(
    `with ${knownSql}, removed as (${removedSql(areAllKnown)}),
     touched as (${touchedSql('in (select data_id from removed)')})
     select ${knownIds}, (select count(*) from removed) as associations_removed`,
    [organization.organizationId, dataIds, tagIds],
  );
  return rows[0] as UnlinkedTags;
}

/*
 * SQL of the parts, whose parameters are the organization, the ids of the streams, those of the tags, and how many tags an entry may
 * have. On one PostgreSQL they are one statement.
 */

/** @param tagIds a parameter */
const knownTagsSql = (tagIds: string) =>
  `select tag_id from tags where organization_id = $1::uuid and tag_id = any(${tagIds}::uuid[])`;

/** The streams are locked in the order of ids, so that two callers cannot deadlock. */
const knownSql = `
  known_streams as materialized (
    select data_id from streams
    where organization_id = $1::uuid and data_id = any($2::uuid[]) and deleted_at is null
    order by data_id for no key update
  ), known_tags as materialized (${knownTagsSql('$3')})`;

const areAllKnown = `(select count(*) from known_streams) = cardinality($2::uuid[])
  and (select count(*) from known_tags) = cardinality($3::uuid[])`;

const knownIds = `array(select data_id::text from known_streams) as known_data_ids,
  array(select tag_id::text from known_tags) as known_tag_ids`;

const crowdedSql = `
  select stream.data_id from streams as stream
  where stream.organization_id = $1::uuid and stream.data_id = any($2::uuid[]) and (
    select count(*) from stream_tags as held
    where held.data_id = stream.data_id and held.organization_id = $1::uuid and held.tag_id <> all($3::uuid[])
  ) > $4::bigint - cardinality($3::uuid[])
  order by stream.data_id limit 1`;

const createdSql = (condition: string) => `
  insert into stream_tags (data_id, tag_id, organization_id)
  select stream.data_id, tag.tag_id, stream.organization_id
  from streams as stream join tags as tag on tag.organization_id = stream.organization_id
  where stream.organization_id = $1::uuid and stream.data_id = any($2::uuid[]) and tag.tag_id = any($3::uuid[])
    and ${condition}
  on conflict do nothing
  returning data_id`;

const removedSql = (condition: string) => `
  delete from stream_tags
  where organization_id = $1::uuid and data_id = any($2::uuid[]) and tag_id = any($3::uuid[]) and ${condition}
  returning data_id`;

/** @param changed what follows the id of a stream whose tags have changed */
const touchedSql = (changed: string) => `
  update streams set changed_at = clock_timestamp() where organization_id = $1::uuid and data_id ${changed}`;

/** The same parts in a cluster, each a statement of its own in one transaction. */
function insertApart(
  organization: OrganizationDatabase,
  dataIds: string[],
  tagIds: string[],
  entryTagsMax: number,
): Promise<LinkedTags> {
  return inTransaction(organization.pool, async (client) => {
    const known = await lockKnown(client, organization, dataIds, tagIds);
    const nothing = { ...known, associations_created: 0, crowded_data_id: null };
    if (!hasAll(known, dataIds, tagIds)) return nothing;
    const ids = [organization.organizationId, dataIds, tagIds];
    const crowded = await client.query<{ data_id: string }>(crowdedSql, [...ids, entryTagsMax]);
    if (crowded.rows[0] !== undefined) return { ...nothing, crowded_data_id: crowded.rows[0].data_id };
    const created = await client.query<{ data_id: string }>(createdSql('true'), ids);
    await touch(client, organization.organizationId, created.rows);
    return { ...nothing, associations_created: created.rows.length };
  });
}

function deleteApart(organization: OrganizationDatabase, dataIds: string[], tagIds: string[]): Promise<UnlinkedTags> {
  return inTransaction(organization.pool, async (client) => {
    const known = await lockKnown(client, organization, dataIds, tagIds);
    if (!hasAll(known, dataIds, tagIds)) return { ...known, associations_removed: 0 };
    const ids = [organization.organizationId, dataIds, tagIds];
    const removed = await client.query<{ data_id: string }>(removedSql('true'), ids);
    await touch(client, organization.organizationId, removed.rows);
    return { ...known, associations_removed: removed.rows.length };
  });
}

type Known = Pick<LinkedTags, 'known_data_ids' | 'known_tag_ids'>;

async function lockKnown(
  client: pg.PoolClient,
  organization: OrganizationDatabase,
  dataIds: string[],
  tagIds: string[],
): Promise<Known> {
  const known_data_ids = await lockStreams(client, organization, dataIds);
  const { rows } = await client.query<{ tag_id: string }>(knownTagsSql('$2'), [organization.organizationId, tagIds]);
  return { known_data_ids, known_tag_ids: rows.map((row) => row.tag_id) };
}

const hasAll = (known: Known, dataIds: string[], tagIds: string[]) =>
  known.known_data_ids.length === dataIds.length && known.known_tag_ids.length === tagIds.length;

async function touch(client: pg.PoolClient, organizationId: string, changed: { data_id: string }[]): Promise<void> {
  const dataIds = [...new Set(changed.map((row) => row.data_id))];
  if (dataIds.length > 0) await client.query(touchedSql('= any($2::uuid[])'), [organizationId, dataIds]);
}
