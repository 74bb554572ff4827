/**
 * Guarantees: one sample for each name, even if several clients create it at the same time. Creating never changes an
 * existing sample.
 */
import type { Static } from '@sinclair/typebox';
import type { OrganizationDatabase } from '../../database/organizations.ts';
import { notFound } from '../../errors.ts';
import type { ListRow } from '../../lib/list-row.ts';
import { jsonDocument } from '../json-document.ts';
import type { CatalogueLimits } from '../limits.ts';
import { pagesOf } from '../list-pages.ts';
import { trimmedText } from '../trimmed-text.ts';
import type { NewPhysicalSample, PhysicalSampleChange } from './schemas.ts';
import {
  findOrInsertPhysicalSample,
  hasGrowthInstrument,
  hasPhysicalSample,
  type ListedSample,
  type NewSample,
  nextPhysicalSamples,
  type PhysicalSampleFilter,
  readMetadata,
  updatePhysicalSample,
} from './store.ts';

/**
 * The organization's samples that pass the filter, newest first, page by page. Metadata that is not small is read
 * separately.
 */
export function listPhysicalSamples(
  organization: OrganizationDatabase,
  filter: PhysicalSampleFilter,
  limits: CatalogueLimits,
): AsyncGenerator<ListRow[]> {
  const read = (id: string) => () => readMetadata(organization, id);
  return pagesOf(
    limits.listPageRowsMax,
    (after?: ListedSample) => nextPhysicalSamples(organization, filter, after, limits),
    ({ id, is_apart }) => (is_apart ? { key: 'physical_sample_metadata', read: read(id) } : undefined),
  );
}

/**
 * Creates a sample, or finds the one with that name.
 * @throws ApiError 404 for an unknown growth instrument, 422 for a name or metadata that cannot be stored
 */
export async function createOrFindPhysicalSample(
  organization: OrganizationDatabase,
  userId: string,
  body: Static<typeof NewPhysicalSample>,
  limits: CatalogueLimits,
) {
  const { growth_instrument_id = null, sample_id = null, detail_notes_id = null } = body;
  const metadata = body.physical_sample_metadata ?? null;
  const fields = {
    name: trimmedText(body.name, 'name'),
    growth_instrument_id,
    sample_id,
    detail_notes_id,
    physical_sample_metadata: metadata && jsonDocument(metadata, ['body', 'physical_sample_metadata'], limits),
  };
  await requireInstrument(organization, growth_instrument_id);
  return findOrInsertPhysicalSample(organization, userId, fields);
}

/**
 * Changes the fields of a sample that `change` has; null clears a field. The same change again changes nothing.
 * @throws ApiError 404 for an unknown sample, 409 for the name of another sample, 422 for what cannot be stored
 */
export async function changePhysicalSample(
  organization: OrganizationDatabase,
  physicalSampleId: string,
  change: Static<typeof PhysicalSampleChange>,
  limits: CatalogueLimits,
) {
  const { name, physical_sample_metadata: metadata, ...others } = change;
  const fields = {
    ...others,
    ...(name !== undefined && { name: trimmedText(name, 'name') }),
    ...(metadata !== undefined && {
      physical_sample_metadata: metadata && jsonDocument(metadata, ['body', 'physical_sample_metadata'], limits),
    }),
  };
  return changedSample(organization, physicalSampleId, fields);
}

/** Sets the instrument that made a sample. @throws ApiError 404 for an unknown sample or instrument */
export async function assignInstrument(
  organization: OrganizationDatabase,
  physicalSampleId: string,
  growth_instrument_id: number | null,
) {
  await requireInstrument(organization, growth_instrument_id);
  return changedSample(organization, physicalSampleId, { growth_instrument_id });
}

async function changedSample(organization: OrganizationDatabase, sampleId: string, fields: Partial<NewSample>) {
  const id = sampleId.toLowerCase();
  const sample = await updatePhysicalSample(organization, id, fields);
  if (sample === undefined) throw notFound(`Physical sample ${id}`);
  return sample;
}

async function requireInstrument(organization: OrganizationDatabase, id: number | null): Promise<void> {
  if (id !== null && !(await hasGrowthInstrument(organization, id))) {
    throw notFound(`Growth instrument ${id}`);
  }
}

/**
 * The results of the official service's sample-wide analyses. This server computes none, so the list is empty.
 * @throws ApiError 404 for an unknown sample
 */
export async function sampleTimeseries(organization: OrganizationDatabase, physicalSampleId: string) {
  const physical_sample_id = physicalSampleId.toLowerCase();
  if (!(await hasPhysicalSample(organization, physical_sample_id))) {
    throw notFound(`Physical sample ${physical_sample_id}`);
  }
  return { physical_sample_id, properties: [] };
}
