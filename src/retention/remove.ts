import type { OrganizationDatabase } from '../database/organizations.ts';
import { type RemovalLimits, removeStream } from '../streams/deletion-store.ts';
import { streamLimits } from '../streams/limits.ts';

/** Removes the rows of a run that has been given up, in pieces that hold up nobody. */
export const removeRun = (
  organization: OrganizationDatabase,
  dataId: string,
  limits: RemovalLimits = streamLimits,
): Promise<void> => removeStream(organization, dataId, limits);
