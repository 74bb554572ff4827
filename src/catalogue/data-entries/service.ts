/** Guarantees: every filter that is given filters, and a value that a filter cannot mean is refused. */
import type { Static } from '@sinclair/typebox';
import type { Identity } from '../../auth/store.ts';
import type { Database } from '../../database/database.ts';
import { invalid } from '../../errors.ts';
import { parseDateTime } from '../../lib/date-time.ts';
import { type DataEntry, type DataEntryQuery, heldDataTypes } from './schemas.ts';
import { findDataEntries } from './store.ts';

const timeFilters = [
  'upload_datetime_min',
  'upload_datetime_max',
  'last_updated_min',
  'last_updated_max',
  'last_accessed_datetime_min',
  'last_accessed_datetime_max',
] as const;

/**
 * Searches the catalogue.
 * @returns the entries that pass every filter, newest first. They are called `metrology`, which every SDK understands,
 * except where the request itself says `tool_state`.
 * @throws ApiError 422 for a date-time that is none.
 */
export async function searchDataEntries(
  database: Database,
  { organizationId, userId }: Identity,
  query: Static<typeof DataEntryQuery>,
): Promise<Static<typeof DataEntry>[]> {
  const {
    include_organization_data = true,
    data_type = 'metrology',
    status = 'all',
    keywords = [],
    ...filters
  } = query;
  const times = Object.fromEntries(timeFilters.map((name) => [name, time(name, query[name])]));
  const type = heldDataTypes.find((held) => held === data_type);
  if (type === undefined) return [];
  // A blank keyword is in every text; it comes from an empty search field and stands for no keyword.
  const words = keywords.filter((keyword) => keyword.trim() !== '');
  return findDataEntries(database, organizationId, type, {
    ...filters,
    ...times,
    ...(words.length > 0 && { keywords: words }),
    user_id: include_organization_data ? undefined : userId,
    pipeline_status: status === 'all' ? undefined : status,
  });
}

function time(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const parsed = parseDateTime(text);
  if (parsed === undefined)
    throw invalid(['query', name], `${name} must be a date-time such as 2026-01-31 08:00:00`, text);
  return parsed;
}
