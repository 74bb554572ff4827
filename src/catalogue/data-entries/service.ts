/** Guarantees: every given filter is applied, and an invalid value of a filter is refused. */
import type { Static } from '@sinclair/typebox';
import type { OrganizationDatabase } from '../../database/organizations.ts';
import { invalid, notFound } from '../../errors.ts';
import { parseDateTime } from '../../lib/date-time.ts';
import {
  deleteStreams,
  giveUpStreams,
  type RemovalLimits,
  removeStream,
  restoreStreams,
} from '../../streams/deletion-store.ts';
import { streamLimits } from '../../streams/limits.ts';
import { distinctIds } from '../ids.ts';
import type { CatalogueLimits } from '../limits.ts';
import { wordsOf } from '../words.ts';
import {
  type DataEntry,
  type DataEntryChange,
  type DataEntryDeletion,
  type DataEntryQuery,
  heldDataTypes,
} from './schemas.ts';
import { type DataEntryFilter, type EntryPlace, findDataEntries, nextEntries, updateStream } from './store.ts';

const timeFilters = [
  'upload_datetime_min',
  'upload_datetime_max',
  'last_updated_min',
  'last_updated_max',
  'last_accessed_datetime_min',
  'last_accessed_datetime_max',
] as const;

type Entry = Static<typeof DataEntry>;

export type SearchOptions = Pick<CatalogueLimits, 'searchPageEntriesMax' | 'searchWordsMax'> & {
  /** Seconds without a chunk after which an open stream shows as interrupted. */
  idleSeconds: number;
};

/**
 * Searches the catalogue in pages. Each page is read by short statements of its own, and others have their turn between
 * them.
 * @returns the entries that pass every filter, newest first. Each has the type `metrology`, which every SDK understands,
 * unless a person has changed it to `tool_state`. The filter data_type does not depend on that (decision 0031)
 * @throws ApiError 422 for an invalid date-time, before anything is read; for too many words, with the first page
 */
export function searchDataEntries(
  organization: OrganizationDatabase,
  userId: string,
  query: DataEntryQuery,
  { idleSeconds, ...limits }: SearchOptions,
): AsyncGenerator<Entry[], void, void> {
  const { include_organization_data = true, data_type, status = 'all', keywords = [], ...filters } = query;
  const times = Object.fromEntries(timeFilters.map((name) => [name, time(name, query[name])]));
  if (data_type !== undefined && !heldDataTypes.some((held) => held === data_type)) return noEntries();
  const filter: DataEntryFilter = {
    ...filters,
    ...times,
    idle_seconds: idleSeconds,
    user_id: include_organization_data ? undefined : userId,
    pipeline_status: status === 'all' ? undefined : status,
  };
  return searchByPages(organization, filter, keywords, limits);
}

async function* noEntries(): AsyncGenerator<Entry[], void, void> {}

async function* searchByPages(
  organization: OrganizationDatabase,
  given: DataEntryFilter,
  keywords: string[],
  { searchPageEntriesMax: countMax, searchWordsMax }: Omit<SearchOptions, 'idleSeconds'>,
): AsyncGenerator<Entry[], void, void> {
  const words = await wordsOf(organization, keywords);
  if (words !== undefined && words.keywords.flat().length > searchWordsMax)
    throw invalid(['query', 'keywords'], `all keywords together must not have more than ${searchWordsMax} words`);
  const filter = { ...given, words };
  let after: EntryPlace | undefined;
  for (;;) {
    const next = await nextEntries(organization, filter, after, countMax);
    after = next.at(-1);
    if (after === undefined) return;
    const dataIds = next.map(({ data_id }) => data_id);
    yield await findDataEntries(organization, dataIds, filter);
    if (next.length < countMax) return;
  }
}

/**
 * Changes the fields of an entry that `change` has. The same change again changes nothing, not even `last_updated`.
 * @returns the entry after the change
 * @throws ApiError 404 for an unknown entry, 422 for a blank name
 */
export async function changeDataEntry(
  organization: OrganizationDatabase,
  dataId: string,
  change: DataEntryChange,
  idleSeconds: number,
): Promise<Static<typeof DataEntry>> {
  if (change.raw_name?.trim() === '')
    throw invalid(['body', 'raw_name'], 'raw_name must not be blank', change.raw_name);
  const { detail_note_content: note } = change;
  await updateStream(organization, dataId, { ...change, ...(note?.trim() === '' && { detail_note_content: null }) });
  const filter = { data_ids: [dataId], idle_seconds: idleSeconds };
  const [entry] = await findDataEntries(organization, [dataId], filter);
  if (entry === undefined) throw notFound(`Data entry ${dataId}`);
  return entry;
}

/**
 * Deletes entries, so that they are answered like unknown ones. With `permanent` it removes them for good, whether they
 * were deleted before or not. If a removal is interrupted, the entries stay deleted, and the same request again finishes
 * it.
 * @returns the ids of the entries that existed, in the order of the request
 * @throws ApiError 404 when none existed
 */
export async function deleteDataEntries(
  organization: OrganizationDatabase,
  { data_ids, permanent = false }: Static<ReturnType<typeof DataEntryDeletion>>,
  limits: RemovalLimits = streamLimits,
): Promise<string[]> {
  const wanted = distinctIds(data_ids);
  if (!permanent) return known(wanted, await deleteStreams(organization, wanted));
  const found = known(wanted, await giveUpStreams(organization, wanted));
  for (const dataId of found) await removeStream(organization, dataId, limits);
  return found;
}

/**
 * Takes back the deletion of entries, with all their data. An entry that is not deleted stays as it is.
 * @returns the ids of the entries that exist now, in the order of the request
 * @throws ApiError 404 when none exists
 */
export async function restoreDataEntries(organization: OrganizationDatabase, dataIds: string[]): Promise<string[]> {
  const wanted = distinctIds(dataIds);
  return known(wanted, await restoreStreams(organization, wanted));
}

function known(wanted: string[], found: string[]): string[] {
  if (found.length === 0) throw notFound(`Data entry ${wanted[0]}`);
  const there = new Set(found);
  return wanted.filter((dataId) => there.has(dataId));
}

function time(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const parsed = parseDateTime(text);
  if (parsed === undefined)
    throw invalid(['query', name], `${name} must be a date-time such as 2026-01-31 08:00:00`, text);
  return parsed;
}
