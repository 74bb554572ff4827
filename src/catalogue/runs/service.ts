/**
 * Guarantees: each run that passes is on exactly one page, even if runs are opened meanwhile; and the work for a page is
 * bounded.
 */
import type { OrganizationDatabase } from '../../database/organizations.ts';
import { invalid } from '../../errors.ts';
import { parseDateTime } from '../../lib/date-time.ts';
import type { Reading } from '../../lib/reading.ts';
import { distinctIds } from '../ids.ts';
import type { CatalogueLimits } from '../limits.ts';
import { foldedTexts, wordsOf } from '../words.ts';
import type { RunFilter } from './filter.ts';
import type { Run, RunQuery } from './schemas.ts';
import { countRuns, describeRuns, findIds, findRuns, type RunPlace } from './store.ts';

export interface RunOptions {
  /** Seconds without a chunk after which an open run shows as interrupted. */
  idleSeconds: number;
  limits: CatalogueLimits;
}

export interface RunPage {
  runs: Run[];
  next_cursor: string | null;
  total: number | null;
}

/**
 * A page of the runs that pass a filter, newest first.
 * @throws ApiError 422 for an invalid cursor, and for too many words
 */
export async function listRuns(
  { organization, reading }: { organization: OrganizationDatabase; reading: Reading },
  query: RunQuery,
  { idleSeconds, limits }: RunOptions,
): Promise<RunPage> {
  const after = query.cursor === undefined ? undefined : placeIn(query.cursor);
  const filter = await filterOf(organization, query, idleSeconds, limits);
  const { limit = limits.runsUsual } = query;
  // If a filter names only unknown things, no run can pass.
  if (Object.values(filter).some((ids) => Array.isArray(ids) && ids !== filter.words && ids.length === 0))
    return noRuns;
  const { places, goesOn } = await collect({ organization, reading }, filter, after, limit, limits);
  const runs: Run[] = [];
  const described = { idleSeconds, channelsCountedMax: limits.runChannelsCountedMax };
  for (let at = 0; at < places.length; at += limits.runsDescribedMax) {
    const dataIds = places.slice(at, at + limits.runsDescribedMax).map(({ data_id }) => data_id);
    runs.push(...(await describeRuns(organization, dataIds, described)));
    await reading.rest();
  }
  const isWhole = goesOn === undefined && after === undefined;
  const total = isWhole ? places.length : await countOf(organization, filter, after, limits);
  return { runs, next_cursor: goesOn === undefined ? null : cursorOf(goesOn), total };
}

const noRuns: RunPage = { runs: [], next_cursor: null, total: 0 };

/**
 * @returns the positions of the runs of a page; and, if there may be more, the position after which the next page begins
 */
async function collect(
  { organization, reading }: { organization: OrganizationDatabase; reading: Reading },
  filter: RunFilter,
  after: RunPlace | undefined,
  limit: number,
  { runsLookMax, runsLookedThroughMax }: CatalogueLimits,
): Promise<{ places: RunPlace[]; goesOn: RunPlace | undefined }> {
  const places: RunPlace[] = [];
  let at = after;
  let looked = 0;
  // Nearly every page is full after the first look, so the first look is a short one.
  let lookMax = Math.min(limit + 1, runsLookMax);
  for (;;) {
    const page = await findRuns(organization, filter, at, { lookMax, foundMax: limit + 1 - places.length });
    await reading.rest();
    places.push(...page.found);
    // One run more than asked for shows that there is a next page.
    if (places.length > limit) return { places: places.slice(0, limit), goesOn: places[limit - 1] };
    if (page.looked < lookMax) return { places, goesOn: undefined };
    at = page.last;
    looked += page.looked;
    if (looked >= runsLookedThroughMax) return { places, goesOn: at };
    lookMax = Math.min(runsLookMax, runsLookedThroughMax - looked);
  }
}

/** The total number of runs that pass. Null for a search, which would have to search all runs for it. */
async function countOf(
  organization: OrganizationDatabase,
  filter: RunFilter,
  after: RunPlace | undefined,
  { runsCountedMax }: CatalogueLimits,
): Promise<number | null> {
  if (after !== undefined || filter.words.length > 0) return null;
  const count = await countRuns(organization, filter, runsCountedMax + 1);
  return count > runsCountedMax ? null : count;
}

async function filterOf(
  organization: OrganizationDatabase,
  { search = '', status, ...query }: RunQuery,
  idleSeconds: number,
  { searchWordsMax }: CatalogueLimits,
): Promise<RunFilter> {
  const words = (await wordsOf(organization, [search]))?.keywords.flat() ?? [];
  if (words.length > searchWordsMax) {
    throw invalid(['query', 'search'], `search must not have more than ${searchWordsMax} words (searchWordsMax)`);
  }
  const fold = await organization.folding();
  const idsOf = async (what: 'instrument' | 'tag' | 'user') => {
    const values = query[what];
    return values && findIds(organization, what, await foldedTexts(organization, values), fold);
  };
  return {
    words,
    fold,
    idleSeconds,
    status,
    sampleIds: query.sample_id && distinctIds(query.sample_id),
    projectIds: query.project_id && distinctIds(query.project_id),
    instrumentIds: await idsOf('instrument'),
    tagIds: await idsOf('tag'),
    userIds: await idsOf('user'),
  };
}

function cursorOf({ created_at, data_id }: RunPlace): string {
  return `${created_at}_${data_id}`;
}

const cursorPattern = /^([^_]+)_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** @throws ApiError 422 */
function placeIn(cursor: string): RunPlace {
  const [, time = '', dataId = ''] = cursorPattern.exec(cursor) ?? [];
  const createdAt = parseDateTime(time);
  if (createdAt === undefined) {
    throw invalid(['query', 'cursor'], 'cursor must be the next_cursor of an answer before', cursor);
  }
  return { created_at: createdAt, data_id: dataId };
}
