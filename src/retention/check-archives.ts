/** Checks whether an archive is complete: all files, contents and counters, and the hashes of the certificate. */
import { createHash, type Hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { toChunkImage } from '../streams/chunk-image.ts';
import type { ArchivedChannel } from './archive-format.ts';
import { requireSameFile } from './files.ts';
import { type RetentionLimits, retentionLimits } from './limits.ts';
import {
  type Archive,
  type ArchivedContent,
  type Certificate,
  openArchive,
  readArchivedContents,
} from './read-archive.ts';

/**
 * Reads a whole archive. Computes the hash of each content from the points in the Parquet file, and the hashes of channels
 * and run from these. Compares them with what was stored and with the certificate.
 * @throws Error with a sentence about the first difference
 */
export async function checkArchive(path: string, limits: RetentionLimits = retentionLimits): Promise<Archive> {
  const archive = await openArchive(path, limits);
  const { manifest, certificate } = archive;
  for (const file of manifest.files) await requireSameFile(path, file);
  const sums = new Map<string, ChannelSums>();
  let revisions = 0;
  for await (const content of readArchivedContents(archive)) {
    requireSameContent(path, content);
    if (content.facts.revision > 0) revisions++;
    else add(sums, content);
  }
  const { counts, channels } = manifest;
  const totals = [...sums.values()].reduce(
    (sum, { chunks, points }) => ({ chunks: sum.chunks + chunks, points: sum.points + points }),
    { chunks: 0, points: 0 },
  );
  if (!isDeepStrictEqual({ ...totals, revisions }, counts)) {
    throw new Error(
      `${path} holds ${JSON.stringify({ ...totals, revisions })}, and ${JSON.stringify(counts)} were archived`,
    );
  }
  for (const channel of channels) requireSameCounts(path, channel, sums.get(channel.channel_name));
  requireCertified(path, certificate, sums);
  return archive;
}

/** @throws Error when the points do not have the stored hash */
export function requireSameContent(path: string, { facts, timestamps, values }: ArchivedContent): void {
  const { contentHash, pointCount, nullCount } = toChunkImage({ timestamps, values, units: facts.units });
  const isSame =
    contentHash.toString('hex') === facts.content_hash &&
    pointCount === facts.point_count &&
    nullCount === facts.null_count;
  if (isSame) return;
  throw new Error(`${path}: chunk ${facts.chunk_index} of channel "${facts.channel_name}" is not what was stored`);
}

interface ChannelSums {
  chunks: number;
  points: number;
  nulls: number;
  hash: Hash;
}

function add(sums: Map<string, ChannelSums>, { facts }: ArchivedContent): void {
  const found = sums.get(facts.channel_name) ?? { chunks: 0, points: 0, nulls: 0, hash: createHash('sha256') };
  sums.set(facts.channel_name, found);
  found.chunks++;
  found.points += facts.point_count;
  found.nulls += facts.null_count;
  const index = Buffer.alloc(8);
  index.writeBigInt64BE(BigInt(facts.chunk_index));
  found.hash.update(index).update(facts.content_hash, 'hex');
}

function requireSameCounts(path: string, channel: ArchivedChannel, found: ChannelSums | undefined): void {
  const { chunks, points, nulls } = found ?? { chunks: 0, points: 0, nulls: 0 };
  if (chunks === channel.chunk_count && points === channel.point_count && nulls === channel.null_count) return;
  throw new Error(
    `${path}: channel "${channel.channel_name}" holds ${chunks} chunks, ${points} points, ${nulls} absent values; ` +
      `${channel.chunk_count}, ${channel.point_count}, ${channel.null_count} were counted`,
  );
}

/** Channel hashes and root hash as docs/reading.md defines them. */
function requireCertified(path: string, certificate: Certificate, sums: Map<string, ChannelSums>): void {
  const root = createHash('sha256');
  for (const { channel_name: name, channel_hash: certified } of certificate.channels) {
    const hash = sums.get(name)?.hash.digest();
    if (hash?.toString('hex') !== certified)
      throw new Error(`${path}: channel "${name}" is not what the certificate says`);
    const bytes = Buffer.from(name);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    root.update(length).update(bytes).update(hash);
  }
  const isSame = certificate.channels.length === sums.size && root.digest('hex') === certificate.root_hash;
  if (!isSame) throw new Error(`${path} is not what its certificate says`);
}

/** Whether two certificates agree in everything but their time. */
export function certifySame(one: Certificate, other: Certificate): boolean {
  const untimed = (certificate: Certificate) => ({ ...certificate, certified_at: null });
  return isDeepStrictEqual(untimed(one), untimed(other));
}
