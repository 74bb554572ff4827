/** Physical samples of an organization, one per name (`one-per-name.ts`). */
import type { Static } from '@sinclair/typebox';
import { sql } from 'kysely';
import type { OrganizationDatabase } from '../../database/organizations.ts';
import { hasSqlstate, sqlstates } from '../../database/sqlstates.ts';
import { inTransaction } from '../../database/transactions.ts';
import { ApiError } from '../../errors.ts';
import { isApart } from '../documents-apart.ts';
import type { CatalogueLimits } from '../limits.ts';
import { findOrMake, isNameTaken } from '../one-per-name.ts';
import { ownersOf } from '../owners.ts';
import type { PhysicalSample, PhysicalSampleRow } from './schemas.ts';

type Sample = Static<typeof PhysicalSample>;

/** Columns of `physical_samples as sample` under their names in the API, without the metadata. */
const plainColumns = sql.raw(`
  sample.physical_sample_id as id, sample.name, sample.created_at as created_datetime,
  sample.changed_at as last_updated, sample.version, sample.user_id, sample.growth_instrument_id, sample.sample_id,
  sample.detail_notes_id`);
const columns = sql`${plainColumns}, sample.physical_sample_metadata`;

export interface PhysicalSampleFilter {
  physical_sample_id?: string;
  project_id?: string;
  has_data_item?: boolean;
}

export type ListedSample = Static<typeof PhysicalSampleRow> & { is_apart: boolean };

/**
 * The next of the organization's samples that pass the filter, newest first, with everything that the catalogue shows of
 * them. If `is_apart`, the metadata is null here and must be read separately.
 */
export async function nextPhysicalSamples(
  organization: OrganizationDatabase,
  { physical_sample_id = undefined, project_id = undefined, has_data_item = undefined }: PhysicalSampleFilter,
  after: Pick<ListedSample, 'id' | 'created_datetime'> | undefined,
  { listPageRowsMax, documentInlineBytesMax }: CatalogueLimits,
): Promise<ListedSample[]> {
  const { organizationId, kysely } = organization;
  const isDistributed = await organization.isDistributed();
  const { rows } = await sql<ListedSample>`
    with ${await ownersOf(organization)} ${isDistributed ? sql`, ${countedApart(organizationId)}` : sql``}
    select ${plainColumns}, document.is_apart,
      case when not document.is_apart then sample.physical_sample_metadata end as physical_sample_metadata,
      owner.user_id as owner_id, owner.name as owner_name,
      coalesce(member.projects, '[]'::json) as projects, null::json as target_material, null::json as detail_notes,
      instrument.source_name as growth_instrument, item.num_data_items
    from physical_samples as sample
    join owner on owner.user_id = sample.user_id and owner.organization_id = sample.organization_id
    left join growth_instruments as instrument
      on instrument.synth_source_id = sample.growth_instrument_id
      and instrument.organization_id = sample.organization_id
    cross join lateral (
      select ${isApart('sample.physical_sample_metadata', documentInlineBytesMax)} as is_apart
    ) as document
    cross join lateral (
      select json_agg(
        json_build_object('id', project.project_id, 'name', project.name) order by member.created_at, member.project_id
      ) as projects
      from project_physical_samples as member
      join projects as project
        on project.project_id = member.project_id and project.organization_id = member.organization_id
      where member.physical_sample_id = sample.physical_sample_id and member.organization_id = sample.organization_id
    ) as member
    cross join lateral (${isDistributed ? countFound : countOfSample}) as item
    where sample.organization_id = ${organizationId}::uuid
      and (${physical_sample_id}::uuid is null or sample.physical_sample_id = ${physical_sample_id}::uuid)
      and (${project_id}::uuid is null or exists (
        select from project_physical_samples as chosen
        where chosen.physical_sample_id = sample.physical_sample_id and chosen.project_id = ${project_id}::uuid
          and chosen.organization_id = sample.organization_id
      ))
      and (${has_data_item}::boolean is null or (item.num_data_items > 0) = ${has_data_item}::boolean)
      and (${after?.id}::uuid is null
        or (sample.created_at, ${after?.id}::uuid) < (${after?.created_datetime}::timestamptz, sample.physical_sample_id))
    order by sample.created_at desc, sample.physical_sample_id
    limit ${listPageRowsMax}::integer`.execute(kysely);
  return rows;
}

const countOfSample = sql`
  select count(*) as num_data_items from streams as stream
  where stream.physical_sample_id = sample.physical_sample_id and stream.organization_id = sample.organization_id
    and stream.deleted_at is null`;

/** In a cluster the data entries of all samples are counted first: each node counts its own. */
const countedApart = (organizationId: string) => sql`
  counted_apart as materialized (
    select stream.physical_sample_id, count(*) as num_data_items from streams as stream
    where stream.organization_id = ${organizationId}::uuid and stream.deleted_at is null
    group by stream.physical_sample_id
  )`;

const countFound = sql`
  select coalesce(max(counted.num_data_items), 0) as num_data_items from counted_apart as counted
  where counted.physical_sample_id = sample.physical_sample_id`;

/** The metadata of a sample as JSON text. */
export async function readMetadata({ organizationId, pool }: OrganizationDatabase, sampleId: string): Promise<string> {
  const { rows } = await pool.query<{ text: string | null }>(
    `select physical_sample_metadata::text as text from physical_samples
     where organization_id = $1::uuid and physical_sample_id = $2::uuid`,
    [organizationId, sampleId],
  );
  return rows[0]?.text ?? 'null';
}

export interface NewSample {
  name: string;
  growth_instrument_id: number | null;
  sample_id: number | null;
  detail_notes_id: string | null;
  /** JSON text of an object. */
  physical_sample_metadata: string | null;
}

/** The existing sample with that name, unchanged; else a new one with these fields. */
export async function findOrInsertPhysicalSample(
  organization: OrganizationDatabase,
  userId: string,
  sample: NewSample,
): Promise<Sample> {
  const { organizationId } = organization;
  const { id } = await findOrMake(organization, 'physical_samples', sample.name, async (client) => {
    const { rows } = await client.query<{ physical_sample_id: string }>(
      `insert into physical_samples (
         organization_id, user_id, name, growth_instrument_id, sample_id, detail_notes_id, physical_sample_metadata
       ) values ($1::uuid, $2::uuid, $3::text, $4::integer, $5::bigint, $6::uuid, $7::jsonb)
       on conflict do nothing returning physical_sample_id`,
      [
        ...[organizationId, userId, sample.name, sample.growth_instrument_id, sample.sample_id],
        ...[sample.detail_notes_id, sample.physical_sample_metadata],
      ],
    );
    return rows[0]?.physical_sample_id;
  });
  const found = await findPhysicalSample(organization, id);
  if (found === undefined) throw new Error('a sample that has just been there is gone');
  return found;
}

async function findPhysicalSample(
  { organizationId, kysely }: OrganizationDatabase,
  physicalSampleId: string,
): Promise<Sample | undefined> {
  const { rows } = await sql<Sample>`
    select ${columns} from physical_samples as sample
    where organization_id = ${organizationId}::uuid and physical_sample_id = ${physicalSampleId}::uuid`.execute(kysely);
  return rows[0];
}

/**
 * Changes the given fields where they differ, and then increases the version.
 * @returns the sample after the change; undefined for an unknown sample
 * @throws ApiError 409 for the name of another sample
 */
export async function updatePhysicalSample(
  organization: OrganizationDatabase,
  physicalSampleId: string,
  change: Partial<NewSample>,
): Promise<Sample | undefined> {
  const { organizationId, kysely, pool } = organization;
  const { name } = change;
  const value = <Name extends keyof NewSample>(name: Name, type: 'text' | 'integer' | 'bigint' | 'uuid' | 'jsonb') =>
    change[name] === undefined ? sql.ref(name) : sql`${change[name]}::${sql.raw(type)}`;
  const fields = sql`${value('name', 'text')}, ${value('growth_instrument_id', 'integer')},
    ${value('sample_id', 'bigint')}, ${value('detail_notes_id', 'uuid')}, ${value('physical_sample_metadata', 'jsonb')}`;
  const names = sql.raw('name, growth_instrument_id, sample_id, detail_notes_id, physical_sample_metadata');
  const own = sql`organization_id = ${organizationId}::uuid and physical_sample_id = ${physicalSampleId}::uuid`;
  const update = sql`
    update physical_samples
    set (${names}, version, changed_at) = (select ${fields}, version + 1, clock_timestamp())
    where ${own} and (${names}) is distinct from (${fields})`.compile(kysely);
  const taken = () => new ApiError('conflict', `Another physical sample is called "${name}".`);
  await inTransaction(pool, async (client) => {
    if (name !== undefined) {
      const wanted = { id: physicalSampleId, name };
      if (await isNameTaken(organization, 'physical_samples', wanted, client)) throw taken();
    }
    await client.query(update.sql, [...update.parameters]);
  }).catch((error: unknown) => {
    throw hasSqlstate(error, sqlstates.uniqueViolation) ? taken() : error;
  });
  return findPhysicalSample(organization, physicalSampleId);
}

export async function hasPhysicalSample({ organizationId, kysely }: OrganizationDatabase, physicalSampleId: string) {
  const { rows } = await sql`
    select from physical_samples
    where organization_id = ${organizationId}::uuid and physical_sample_id = ${physicalSampleId}::uuid`.execute(kysely);
  return rows.length > 0;
}

/** Whether a sample may be linked to an instrument: the organization has it and has not deleted it. */
export async function hasGrowthInstrument({ organizationId, kysely }: OrganizationDatabase, synthSourceId: number) {
  const { rows } = await sql`
    select from growth_instruments
    where organization_id = ${organizationId}::uuid and synth_source_id = ${synthSourceId}::integer
      and deleted_at is null`.execute(kysely);
  return rows.length > 0;
}
