/** Guarantees: one tag for each name, even if several clients create it at the same time. Tags are linked all or none. */

import type { OrganizationDatabase } from '../../database/organizations.ts';
import { ApiError, invalid } from '../../errors.ts';
import type { ListRow } from '../../lib/list-row.ts';
import { distinctIds, requireAll } from '../ids.ts';
import type { CatalogueLimits } from '../limits.ts';
import { pagesOf } from '../list-pages.ts';
import { trimmedText } from '../trimmed-text.ts';
import { deleteStreamTags, findOrInsertTag, insertStreamTags, nextTags, type TagRow } from './store.ts';

/** @returns the tag with that name, and whether it is new */
export async function createOrFindTag(organization: OrganizationDatabase, userId: string, wanted: string) {
  return findOrInsertTag(organization, userId, trimmedText(wanted, 'name'));
}

/**
 * Puts every tag on every data entry. Repeating it changes nothing.
 * @returns the number of new links
 * @throws ApiError 404 with the first id that the organization does not have, 422 for more than `tagLinksMax` links, 409
 * for an entry that would have more than `entryTagsMax` tags; then nothing is stored
 */
export async function linkTags(
  organization: OrganizationDatabase,
  { data_ids, tag_ids }: { data_ids: string[]; tag_ids: string[] },
  { tagLinksMax, entryTagsMax }: CatalogueLimits,
) {
  const wanted = wantedLinks({ data_ids, tag_ids }, 'body', tagLinksMax);
  const linked = await insertStreamTags(organization, wanted.dataIds, wanted.tagIds, entryTagsMax);
  requireAll('Data entry', wanted.dataIds, linked.known_data_ids);
  requireAll('Tag', wanted.tagIds, linked.known_tag_ids);
  const crowded = linked.crowded_data_id;
  if (crowded !== null)
    throw new ApiError('conflict', `Data entry ${crowded} would have more than ${entryTagsMax} tags.`);
  return linked.associations_created;
}

/**
 * Takes every tag off every data entry. Repeating it changes nothing.
 * @returns the number of links that were removed
 * @throws ApiError 404 with the first id that the organization does not have, 422 for more than `tagLinksMax` links; then
 * nothing is changed
 */
export async function unlinkTags(
  organization: OrganizationDatabase,
  ids: { data_ids: string[]; tag_ids: string[] },
  { tagLinksMax }: CatalogueLimits,
): Promise<number> {
  const wanted = wantedLinks(ids, 'query', tagLinksMax);
  const unlinked = await deleteStreamTags(organization, wanted.dataIds, wanted.tagIds);
  requireAll('Data entry', wanted.dataIds, unlinked.known_data_ids);
  requireAll('Tag', wanted.tagIds, unlinked.known_tag_ids);
  return unlinked.associations_removed;
}

function wantedLinks(ids: { data_ids: string[]; tag_ids: string[] }, where: 'body' | 'query', tagLinksMax: number) {
  const wanted = { dataIds: distinctIds(ids.data_ids), tagIds: distinctIds(ids.tag_ids) };
  const links = wanted.dataIds.length * wanted.tagIds.length;
  if (links > tagLinksMax) {
    throw invalid([where], `data_ids × tag_ids must not be more than ${tagLinksMax} links; these are ${links}`);
  }
  return wanted;
}

/** The organization's tags by name, page by page. */
export function listTags(organization: OrganizationDatabase, limits: CatalogueLimits): AsyncGenerator<ListRow[]> {
  return pagesOf(limits.listPageRowsMax, (after: TagRow | undefined, countMax) =>
    nextTags(organization, after, countMax),
  );
}
