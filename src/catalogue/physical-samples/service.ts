/** Guarantees: one sample per name, whoever else creates it at the same time; an existing one is never changed. */
import type { Static } from '@sinclair/typebox';
import type { Identity } from '../../auth/store.ts';
import type { Database } from '../../database/database.ts';
import { notFound } from '../../errors.ts';
import { jsonDocument } from '../json-document.ts';
import { trimmedText } from '../names.ts';
import type { NewPhysicalSample } from './schemas.ts';
import { findPhysicalSampleByName, hasGrowthInstrument, hasPhysicalSample, insertPhysicalSample } from './store.ts';

/**
 * Creates a sample or finds the one of that name.
 * @throws ApiError 404 for an unknown growth instrument, 422 for a name or metadata that cannot be stored.
 */
export async function createOrFindPhysicalSample(
  database: Database,
  { organizationId, userId }: Identity,
  body: Static<typeof NewPhysicalSample>,
) {
  const { growth_instrument_id = null, sample_id = null, detail_notes_id = null } = body;
  const metadata = body.physical_sample_metadata ?? null;
  const fields = {
    name: trimmedText(body.name, 'name'),
    growth_instrument_id,
    sample_id,
    detail_notes_id,
    physical_sample_metadata: metadata && jsonDocument(metadata, ['body', 'physical_sample_metadata']),
  };
  if (growth_instrument_id !== null && !(await hasGrowthInstrument(database, organizationId, growth_instrument_id))) {
    throw notFound(`Growth instrument ${growth_instrument_id}`);
  }
  const sample =
    (await insertPhysicalSample(database, organizationId, userId, fields)) ??
    (await findPhysicalSampleByName(database, organizationId, fields.name));
  if (sample === undefined) throw new Error('a sample that stood in the way of a new one is gone');
  return sample;
}

/**
 * What the sample-wide analyses of the official service would have found: nothing.
 * @throws ApiError 404 for an unknown sample.
 */
export async function sampleTimeseries(database: Database, organizationId: string, physicalSampleId: string) {
  const physical_sample_id = physicalSampleId.toLowerCase();
  if (!(await hasPhysicalSample(database, organizationId, physical_sample_id))) {
    throw notFound(`Physical sample ${physical_sample_id}`);
  }
  return { physical_sample_id, properties: [] };
}
