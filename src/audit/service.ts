/** Guarantees: every entry that passes the filter is on exactly one page, whatever else is done meanwhile. */
import { stringify } from 'csv-stringify/sync';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { invalid } from '../errors.ts';
import { parseDateTime } from '../lib/date-time.ts';
import type { Pieces } from '../lib/json-writer.ts';
import type { AuditLimits } from './limits.ts';
import type { AuditList, AuditQuery } from './schemas.ts';
import { type AuditEntry, type AuditFilter, type AuditPlace, findEntries } from './store.ts';

/** A page of entries. @throws ApiError 422 for an invalid time or cursor */
export async function listEntries(
  organization: OrganizationDatabase,
  { cursor, limit, ...query }: AuditQuery,
  { entriesUsual }: AuditLimits,
): Promise<AuditList> {
  const countMax = limit ?? entriesUsual;
  const after = cursor === undefined ? undefined : placeIn(cursor);
  // One entry more than requested shows whether there is a next page.
  const found = await findEntries(organization, filterOf(query), after, countMax + 1);
  const entries = found.slice(0, countMax);
  const last = entries.at(-1);
  return { entries, next_cursor: found.length > countMax && last !== undefined ? cursorOf(last) : null };
}

/** A file of all entries that pass the filter, in pieces. @throws ApiError 422 before the first piece */
export function entriesFile(
  organization: OrganizationDatabase,
  { cursor, limit, ...query }: AuditQuery,
  format: 'csv' | 'ndjson',
  { entriesReadMax }: AuditLimits,
): Pieces {
  for (const [name, value] of Object.entries({ cursor, limit })) {
    if (value !== undefined) throw invalid(['query', name], `${format} has all entries: ${name} is for json`, value);
  }
  return piecesOf(organization, filterOf(query), format, entriesReadMax);
}

async function* piecesOf(
  organization: OrganizationDatabase,
  filter: AuditFilter,
  format: 'csv' | 'ndjson',
  countMax: number,
): Pieces {
  if (format === 'csv') yield Buffer.from(csvOf([fieldNames]));
  let after: AuditPlace | undefined;
  for (;;) {
    const page = await findEntries(organization, filter, after, countMax);
    if (page.length > 0) yield Buffer.from(format === 'csv' ? csvOf(page.map(fieldsOf)) : page.map(lineOf).join(''));
    if (page.length < countMax) return;
    after = page.at(-1);
  }
}

const fieldNames = [
  ...(['happened_at', 'action', 'actor', 'key_id', 'key_hint', 'user_name', 'data_id', 'of_key_id'] as const),
  ...(['request_id', 'address', 'details', 'entry_id'] as const),
];

const fieldsOf = (entry: AuditEntry) =>
  fieldNames.map((name) => (name === 'details' ? JSON.stringify(entry.details) : entry[name]));

// Clients without a key choose some of the texts, and people open such files in spreadsheets.
const csvOf = (rows: readonly unknown[][]) => stringify(rows as unknown[][], { escape_formulas: true });

const lineOf = (entry: AuditEntry) => `${JSON.stringify(entry)}\n`;

function filterOf({ since, until, action, data_id, key_id }: AuditQuery): AuditFilter {
  return {
    since: timeIn('since', since),
    until: timeIn('until', until),
    actions: action,
    dataId: data_id,
    keyId: key_id,
  };
}

function timeIn(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const time = parseDateTime(text);
  if (time === undefined)
    throw invalid(['query', name], `${name} must be a date-time such as 2026-01-31 08:00:00`, text);
  return time;
}

const cursorOf = ({ happened_at, entry_id }: AuditPlace) => `${happened_at}_${entry_id}`;

const cursorPattern = /^([^_]+)_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** @throws ApiError 422 */
function placeIn(cursor: string): AuditPlace {
  const [, time = '', entryId = ''] = cursorPattern.exec(cursor) ?? [];
  const happenedAt = parseDateTime(time);
  if (happenedAt === undefined) {
    throw invalid(['query', 'cursor'], 'cursor must be the next_cursor of an answer before', cursor);
  }
  return { happened_at: happenedAt, entry_id: entryId };
}
