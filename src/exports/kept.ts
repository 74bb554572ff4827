/** Which exports are kept as files, and under what. */
import { createHash } from 'node:crypto';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { type Export, metadataOf } from './export.ts';
import { findContentState } from './store.ts';

/** An export that nothing changes any more but a deliberate act. */
export interface Unchanging {
  /** The same for the same bytes, on every server of one build. */
  key: string;
  /** The export, as if it had been made when it changed last: so its file is the same whenever it is made. */
  exported: Export;
}

/**
 * What an export is kept under, from all that its file is made of.
 * @param form what of the request changes the bytes of the file
 * @returns undefined while it may still grow, and for one of no streams
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
