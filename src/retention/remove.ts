import type { OrganizationDatabase } from '../database/organizations.ts';
import { type RemovalLimits, removeStream } from '../streams/deletion-store.ts';
import { streamLimits } from '../streams/limits.ts';

/** Removes the rows of a run that is marked for removal, in short transactions that block nobody for long. */
export const removeRun = (
  organization: OrganizationDatabase,
  dataId: string,
  limits: RemovalLimits = streamLimits,
): Promise<void> => removeStream(organization, dataId, limits);
