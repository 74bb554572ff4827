/** Guarantees: one tag per name, whoever else creates it at the same time; tags are linked all or none. */

import type { Identity } from '../../auth/store.ts';
import type { Database } from '../../database/database.ts';
import { distinctIds, requireAll } from '../ids.ts';
import { trimmedText } from '../names.ts';
import { findTagByName, insertStreamTags, insertTag } from './store.ts';

/** @returns the tag of that name, and whether it is new. */
export async function createOrFindTag(database: Database, { organizationId, userId }: Identity, wanted: string) {
  const name = trimmedText(wanted, 'name');
  const created = await insertTag(database, organizationId, userId, name);
  const tag = created ?? (await findTagByName(database, organizationId, name));
  if (tag === undefined) throw new Error('a tag that stood in the way of a new one is gone');
  return { tag, isNew: created !== undefined };
}

/**
 * Puts every tag on every data entry; a second time changes nothing.
 * @returns the number of links that are new
 * @throws ApiError 404 that names the first id that the organization does not have; nothing is stored.
 */
export async function linkTags(database: Database, organizationId: string, dataIds: string[], tagIds: string[]) {
  const wanted = { dataIds: distinctIds(dataIds), tagIds: distinctIds(tagIds) };
  const linked = await insertStreamTags(database, organizationId, wanted.dataIds, wanted.tagIds);
  requireAll('Data entry', wanted.dataIds, linked.known_data_ids);
  requireAll('Tag', wanted.tagIds, linked.known_tag_ids);
  return linked.associations_created;
}
