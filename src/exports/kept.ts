/** Which exports are kept as files, and under which key. */
import { createHash } from 'node:crypto';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { type Export, metadataOf } from './export.ts';
import { findContentState } from './store.ts';

/** An export whose data do not change any more, except by deliberate acts such as an edit or a deletion. */
export interface Unchanging {
  /** The same on every server of one build for files of the same bytes. */
  key: string;
  /** The export with the time of the last change as `exportedAt`, so that its file is the same whenever it is made. */
  exported: Export;
}

/**
 * Finds the key of an export, from all that its file is made from.
 * @param form the parameters of the request that change the bytes of the file
 * @returns undefined while a stream may still grow, and for an export of no streams
 */
export async function findUnchanging(
  organization: OrganizationDatabase,
  exported: Export,
  form: object,
  graceSeconds: number,
): Promise<Unchanging | undefined> {
  const dataIds = exported.streams.map(({ data_id }) => data_id);
  if (dataIds.length === 0) return undefined;
  const { is_complete, changed_at, digest } = await findContentState(organization, dataIds, graceSeconds);
  if (!is_complete || changed_at === null) return undefined;
  const then = { ...exported, exportedAt: new Date(changed_at) };
  const made = [digest, changed_at, form, exported.isSelection, metadataOf(then)];
  return { key: createHash('sha256').update(JSON.stringify(made)).digest('hex'), exported: then };
}
