/** Restores a run from its archive: with the same id, channels, chunks, bits, times and replaced contents. */
import { ensureUser } from '../auth/people-store.ts';
import { type Actor, theServer } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import { beginPacking } from '../database/packing.ts';
import { createPacker } from '../database/series-packer.ts';
import { toChunkImage } from '../streams/chunk-image.ts';
import type { ArchivedRun } from './archive-format.ts';
import { certifySame, checkArchive, requireSameContent } from './check-archives.ts';
import { findArchivedOrganization } from './due-store.ts';
import { type RetentionLimits, retentionLimits } from './limits.ts';
import { type Archive, type ArchivedContent, type Certificate, readArchivedContents } from './read-archive.ts';
import { removeRun } from './remove.ts';
import {
  beginRestore,
  findRemainingRun,
  findSameKeys,
  finishRestore,
  insertContents,
  type MatchedLinks,
  matchLinks,
  type Owner,
  type RestoredRow,
} from './restore-store.ts';
import { alone } from './retention-lock.ts';
import { certificateOf } from './write.ts';

export interface Restored {
  dataId: string;
  name: string;
  points: number;
  chunks: number;
  /** The run was already there with the same content, and nothing was done. */
  wasThere: boolean;
  /** Links of the run that were lost, in words. */
  lost: string[];
}

interface RestoreOptions {
  /** The name of the organization that gets the run; by default the one that had it. */
  organization?: string | undefined;
  /** Who is written into the audit log; by default the server. */
  actor?: Actor;
  limits?: Partial<RetentionLimits>;
}

/**
 * Restores one archive. The whole archive is checked before anything is stored, and it is kept. The remains of an earlier,
 * interrupted restore are removed first.
 * @throws Error with a sentence; then the run is not visible
 */
export async function restoreArchive(
  database: Database,
  path: string,
  options: RestoreOptions = {},
): Promise<Restored> {
  const limits = { ...retentionLimits, ...options.limits };
  const archive = await checkArchive(path, limits);
  return alone(
    database,
    async (signal) => {
      const { run, channels, counts } = archive.manifest;
      const result = { dataId: run.data_id, name: run.stream_name, points: counts.points, chunks: counts.chunks };
      if (await isThere(database, archive)) return { ...result, wasThere: true, lost: [] };
      const owner = await findOwner(database, run, options.organization);
      const links = await matchLinks(database, owner.organizationId, run);
      const channelIds = await beginRestore(database, owner, run, links, channels);
      await storeContents({ database, archive, owner, channelIds, limits, signal });
      await finishRestore(database, owner, run, channels, options.actor ?? theServer);
      const now = await certificateNow(database, owner.organizationId, run.data_id);
      const lost = lostLinks(run, links);
      if (lost.length === 0 && !certifySame(now, archive.certificate)) {
        throw new Error(
          `run ${run.data_id} was restored, and its certificate is not that of ${path}: keep the archive`,
        );
      }
      if (now.root_hash !== archive.certificate.root_hash)
        throw new Error(`run ${run.data_id} is not what ${path} holds`);
      return { ...result, wasThere: false, lost };
    },
    limits,
  );
}

/** @throws Error when the id belongs to another run, or the run has another content or is deleted */
async function isThere(database: Database, { path, manifest, certificate }: Archive): Promise<boolean> {
  const { data_id: dataId } = manifest.run;
  const standing = await findRemainingRun(database, dataId);
  if (standing === undefined) return false;
  if (standing.isGivenUp) {
    await removeRun(database.as(standing.organizationId), dataId);
    return false;
  }
  if (standing.isDeleted)
    throw new Error(`run ${dataId} is there and deleted: restore it by the API, or remove it first`);
  const now = await certificateNow(database, standing.organizationId, dataId);
  if (now.root_hash === certificate.root_hash) return true;
  throw new Error(`run ${dataId} is there with another content than ${path}: remove it first, or leave it`);
}

async function certificateNow(database: Database, organizationId: string, dataId: string): Promise<Certificate> {
  const pieces: Buffer[] = [];
  for await (const piece of await certificateOf(database.as(organizationId), dataId)) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString());
}

/** The organization and the user that had the run, by id or name. They are created again if they do not exist. */
async function findOwner(database: Database, run: ArchivedRun, organization: string | undefined): Promise<Owner> {
  const { id, name } = run.organization;
  const found = await findArchivedOrganization(
    database,
    organization === undefined ? { id, name } : { id: null, name: organization },
  );
  const { organization_id, user_id } = await ensureUser(database, found?.name ?? organization ?? name, run.user.name);
  return { organizationId: organization_id, userId: user_id };
}

function lostLinks({ instrument, physical_sample: sample, project }: ArchivedRun, links: MatchedLinks): string[] {
  const wanted: [string, { id: string | number; name: string } | null, string | number | null][] = [
    ['instrument', instrument, links.synth_source_id],
    ['physical sample', sample, links.physical_sample_id],
    ['project', project, links.project_id],
  ];
  return wanted.flatMap(([kind, linked, found]) => {
    if (linked === null || linked.id === found) return [];
    return found === null
      ? [`${kind} "${linked.name}" is not there any more`]
      : [`${kind} "${linked.name}" has another id now`];
  });
}

interface Storing {
  database: Database;
  archive: Archive;
  owner: Owner;
  channelIds: Map<string, number>;
  limits: RetentionLimits;
  signal: AbortSignal;
}

async function storeContents({ database, archive, owner, channelIds, limits, signal }: Storing): Promise<void> {
  const { manifest, path } = archive;
  const packer = (await beginPacking(database.everyOrganization.upkeep.pool)) ? createPacker() : undefined;
  const same = await findSameKeys(database, owner.organizationId, manifest.keys);
  // A key id is kept only if it is the same key: in another database another key may have that number. Otherwise the id is
  // 0, for unknown.
  const keyOf = (keyId: number | null) => (keyId !== null && same.has(keyId) ? keyId : 0);
  const rowOf = (content: ArchivedContent): RestoredRow => {
    const { facts, timestamps, values } = content;
    const { channel_name: channelName, chunk_index: chunkIndex } = facts;
    const image = toChunkImage({ timestamps, values, units: facts.units }, packer);
    requireSameContent(path, content);
    return {
      item: itemOf(owner.organizationId, manifest.run.data_id, chunkIndex, keyOf(facts.key_id)),
      ...{ channelName, image, facts },
      channelId: channelIds.get(channelName) as number,
      pointsPerChunk: manifest.run.points_per_chunk,
      replacedByKeyId: keyOf(facts.replaced_by_key_id),
    };
  };
  for await (const { contents, areRevisions } of batchesOf(archive, limits)) {
    signal.throwIfAborted();
    await insertContents(database, contents.map(rowOf), areRevisions);
  }
}

const itemOf = (organizationId: string, dataId: string, chunkIndex: number, keyId: number): RestoredRow['item'] => ({
  ...{ organizationId, dataId, chunkIndex, keyId },
  ...{ arrivals: [], slices: [], bytes: 0 },
  isRestoring: true,
  arrivedAt: 0,
});

/** Batches of contents, each for one transaction, and either chunks or replaced contents. */
async function* batchesOf(archive: Archive, { restoredRowsMax, restoredPointsMax }: RetentionLimits) {
  let contents: ArchivedContent[] = [];
  let points = 0;
  let areRevisions = false;
  for await (const content of readArchivedContents(archive)) {
    const isOther = content.facts.revision > 0 !== areRevisions;
    const isFull = contents.length >= restoredRowsMax || points + content.values.length > restoredPointsMax;
    if (contents.length > 0 && (isOther || isFull)) {
      yield { contents, areRevisions };
      contents = [];
      points = 0;
    }
    areRevisions = content.facts.revision > 0;
    contents.push(content);
    points += content.values.length;
  }
  if (contents.length > 0) yield { contents, areRevisions };
}
