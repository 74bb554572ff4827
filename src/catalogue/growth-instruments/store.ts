/**
 * Growth instruments of an organization. A deleted instrument keeps its row, so that the streams and samples that it made
 * still show its name. Everything else behaves as if it did not exist.
 */
import type { Static } from '@sinclair/typebox';
import { sql } from 'kysely';
import type { OrganizationDatabase } from '../../database/organizations.ts';
import { inTransaction } from '../../database/transactions.ts';
import { notFound } from '../../errors.ts';
import { trimmedText } from '../trimmed-text.ts';
import type { GrowthInstrument, GrowthInstrumentChange, instrumentTypes } from './schemas.ts';

type Instrument = Static<typeof GrowthInstrument>;

export interface GrowthInstrumentFields {
  label: string;
  type: (typeof instrumentTypes)[number];
  name?: string | null;
  serial_id?: string | null;
}

const columns = sql.raw(
  'synth_source_id, source_name, synth_source_type, null::text as source_manufacturer, source_model, serial_id',
);

/** The next of the organization's instruments that are not deleted, by id. */
export async function nextGrowthInstruments(
  { organizationId, kysely }: OrganizationDatabase,
  after: Pick<Instrument, 'synth_source_id'> | undefined,
  countMax: number,
): Promise<Instrument[]> {
  const { rows } = await sql<Instrument>`
    select ${columns} from growth_instruments
    where organization_id = ${organizationId}::uuid and deleted_at is null
      and synth_source_id > ${after?.synth_source_id ?? 0}::integer
    order by synth_source_id limit ${countMax}::integer`.execute(kysely);
  return rows;
}

/**
 * Creates an instrument. Two instruments may have the same label: a lab with two equal tools tells them apart by their ids.
 * @throws ApiError 422 for a blank label
 */
export async function createGrowthInstrument(
  { organizationId, kysely }: OrganizationDatabase,
  userId: string,
  { label, type, name = null, serial_id = null }: GrowthInstrumentFields,
) {
  const { rows } = await sql<Static<typeof GrowthInstrument>>`
    insert into growth_instruments (organization_id, user_id, source_name, synth_source_type, source_model, serial_id)
    values (${organizationId}::uuid, ${userId}::uuid, ${trimmedText(label, 'label')}::text, ${type}::text, ${name}::text, ${serial_id}::text)
    returning ${columns}`.execute(kysely);
  return rows[0] as Static<typeof GrowthInstrument>;
}

/**
 * Changes the fields of an instrument that `change` has; null clears a field. Streams and samples that it made show its new
 * name.
 * @param synthSourceId decimal digits
 * @throws ApiError 404 for an unknown one, 422 for a blank label
 */
export async function changeGrowthInstrument(
  { organizationId, kysely }: OrganizationDatabase,
  synthSourceId: string,
  change: GrowthInstrumentChange,
) {
  const { label, type, name, serial_id } = change;
  const given = (value: string | null | undefined, column: string) =>
    value === undefined ? sql.ref(column) : sql`${value}::text`;
  const { rows } = await sql<Static<typeof GrowthInstrument>>`
    update growth_instruments
    set source_name = ${given(label && trimmedText(label, 'label'), 'source_name')},
        synth_source_type = ${given(type, 'synth_source_type')},
        source_model = ${given(name, 'source_model')},
        serial_id = ${given(serial_id, 'serial_id')}
    where organization_id = ${organizationId}::uuid and synth_source_id = ${synthSourceId}::bigint and deleted_at is null
    returning ${columns}`.execute(kysely);
  const [instrument] = rows;
  if (instrument === undefined) throw notFound(`Growth instrument ${synthSourceId}`);
  return instrument;
}

/**
 * Deletes all of the instruments, or none if one is unknown.
 * @returns their ids in ascending order
 * @throws ApiError 404 with the first id that does not exist
 */
export function deleteGrowthInstruments(
  { organizationId, pool }: OrganizationDatabase,
  ids: number[],
): Promise<number[]> {
  const wanted = [...new Set(ids)].sort((a, b) => a - b);
  return inTransaction(pool, async (client) => {
    // Locked in the order of ids, so that two requests for the same instruments wait for each other and do not deadlock.
    const { rows } = await client.query<{ synth_source_id: number }>(
      `select synth_source_id from growth_instruments
       where organization_id = $1::uuid and synth_source_id = any($2::int4[]) and deleted_at is null
       order by synth_source_id for update`,
      [organizationId, wanted],
    );
    const known = new Set(rows.map((row) => row.synth_source_id));
    const missing = wanted.find((id) => !known.has(id));
    if (missing !== undefined) throw notFound(`Growth instrument ${missing}`);
    await client.query(
      `update growth_instruments set deleted_at = now()
       where organization_id = $1::uuid and synth_source_id = any($2::int4[])`,
      [organizationId, wanted],
    );
    return wanted;
  });
}
