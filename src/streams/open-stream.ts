import { CommitInDoubt, isNodeAway } from '../database/failures.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import type { Patience } from '../database/transactions.ts';
import { ApiError, notFound } from '../errors.ts';
import type { InitializeBody, StreamIds } from './schemas.ts';
import { type FoundLinks, findOwnLinks, insertStream, type MemberLimits, type NewStream } from './store.ts';

/** @returns an attempt to open a stream; all attempts together open one */
export function openStream(
  organization: OrganizationDatabase,
  fields: Omit<NewStream, keyof StreamIds>,
  memberLimits: MemberLimits,
  newId: () => string,
): (patience: Patience) => Promise<StreamIds> {
  const newIds = () => ({ data_id: newId(), processed_data_id: newId() });
  // Chosen before the first attempt, so that a retry after a lost answer makes the same stream.
  let ids = newIds();
  let isInDoubt = false;
  return async (patience) => {
    checkLinks(fields, await findOwnLinks(organization, patience, fields, memberLimits), memberLimits);
    return insertStream(organization, patience, { ...fields, ...ids }).catch((error: unknown) => {
      isInDoubt ||= error instanceof CommitInDoubt;
      // In a cluster the id decides on the node. While that is away, another id may belong to one that is there.
      if (isNodeAway(error) && !isInDoubt) ids = newIds();
      throw error;
    });
  };
}

function checkLinks(body: InitializeBody, found: FoundLinks, limits: MemberLimits): void {
  if (body.synth_source_id != null && !found.instrument) throw notFound('Growth instrument');
  if (body.physical_sample_id != null && !found.sample) throw notFound('Physical sample');
  if (body.project_id != null && !found.project) throw notFound('Project');
  const full = (sentence: string) => new ApiError('conflict', `${sentence}; no stream was opened.`);
  if (found.isProjectFull) throw full(`A project has at most ${limits.projectSamplesMax} samples (projectSamplesMax)`);
  if (found.isSampleFull) throw full(`A sample has at most ${limits.sampleProjectsMax} projects (sampleProjectsMax)`);
}
