/** Reads an archive back, content by content. */
import { join } from 'node:path';
import {
  type ArchiveManifest,
  archiveContentsName,
  archiveFormat,
  archiveManifestName,
  archiveVersion,
  type ContentRow,
  certificateName,
  contentColumns,
  pointsName,
  revisionsName,
} from './archive-format.ts';
import { readJson } from './files.ts';
import type { RetentionLimits } from './limits.ts';
import { readRowGroups } from './parquet-rows.ts';

export interface Archive {
  path: string;
  manifest: ArchiveManifest;
  certificate: Certificate;
}

/** The fields of a certificate that are compared with an archive. */
export interface Certificate {
  data_id: string;
  channels: { channel_name: string; chunk_count: number; point_count: number; channel_hash: string }[];
  root_hash: string;
}

/** @throws Error with a sentence where the folder is no archive, or is of a newer release */
export async function openArchive(path: string, limits: RetentionLimits): Promise<Archive> {
  const manifest = (await readJson(join(path, archiveManifestName), limits.documentBytesMax)) as ArchiveManifest;
  if (manifest.format !== archiveFormat) throw new Error(`${path} is not the archive of a run`);
  if (manifest.version !== archiveVersion) {
    throw new Error(`${path} is an archive of version ${manifest.version}, and this release reads ${archiveVersion}`);
  }
  const certificate = (await readJson(join(path, certificateName), limits.documentBytesMax)) as Certificate;
  return { path, manifest, certificate };
}

/** A content of an archive with its points; null for absent ones. */
export interface ArchivedContent {
  facts: ContentRow;
  timestamps: (number | null)[];
  values: (number | null)[];
}

/**
 * All contents of an archive: the chunks by channel and index, then the replaced contents.
 * @throws Error where its files do not match each other
 */
export async function* readArchivedContents({ path, manifest }: Archive): AsyncGenerator<ArchivedContent> {
  const points = series(path, manifest);
  for await (const facts of readFacts(join(path, archiveContentsName))) {
    const { value: found } = await points.next();
    const isSame =
      found?.channel_name === facts.channel_name &&
      found.chunk_index === facts.chunk_index &&
      found.revision === facts.revision;
    if (!isSame || (found.revision === 0 && found.units !== facts.units)) {
      throw new Error(
        `${path}: the points do not belong to chunk ${facts.chunk_index} of channel "${facts.channel_name}"`,
      );
    }
    yield { facts, timestamps: found.timestamps, values: found.values };
  }
  const { done } = await points.next();
  if (!done) throw new Error(`${path} has points of chunks that it does not list`);
}

async function* readFacts(path: string): AsyncGenerator<ContentRow> {
  const names = contentColumns.map(({ name }) => name);
  for await (const { rows, columns } of readRowGroups(path, names)) {
    for (let i = 0; i < rows; i++) yield factsAt(columns, i);
  }
}

function factsAt(columns: unknown[][], i: number): ContentRow {
  let at = 0;
  const next = () => columns[at++]?.[i] ?? null;
  const number = () => Number(next());
  const numberOrNull = () => {
    const cell = next();
    return cell === null ? null : Number(cell);
  };
  return {
    channel_name: next() as string,
    chunk_index: number(),
    revision: number(),
    point_count: number(),
    null_count: number(),
    units: next() as string | null,
    content_hash: next() as string,
    key_id: number(),
    stored_micros: number(),
    changed_micros: number(),
    replaced_count: numberOrNull(),
    replaced_by_key_id: numberOrNull(),
    replacing_hash: next() as string | null,
  };
}

interface Series {
  channel_name: string;
  chunk_index: number;
  revision: number;
  units: string | null;
  timestamps: (number | null)[];
  values: (number | null)[];
}

/** The points of each content, in the order of the files. */
async function* series(path: string, manifest: ArchiveManifest): AsyncGenerator<Series, undefined> {
  const standing = ['channel_name', 'chunk_index', 'timestamp', 'value', 'units'];
  yield* seriesOf(join(path, pointsName), standing);
  const replaced = ['channel_name', 'chunk_index', 'timestamp', 'value', 'revision'];
  if (manifest.counts.revisions > 0) yield* seriesOf(join(path, revisionsName), replaced);
  return undefined;
}

/** @param names of the columns; the last is `units` or `revision` */
async function* seriesOf(path: string, names: readonly string[]): AsyncGenerator<Series> {
  const hasUnits = names.at(-1) === 'units';
  let current: Series | undefined;
  for await (const { rows, columns } of readRowGroups(path, names)) {
    const [channels, indexes, timestamps, values, lasts] = columns as [
      unknown[],
      unknown[],
      unknown[],
      unknown[],
      unknown[],
    ];
    for (let i = 0; i < rows; i++) {
      const channel_name = channels[i] as string;
      const chunk_index = Number(indexes[i]);
      const revision = hasUnits ? 0 : Number(lasts[i]);
      const isNext =
        current?.channel_name !== channel_name || current.chunk_index !== chunk_index || current.revision !== revision;
      if (isNext) {
        if (current !== undefined) yield current;
        const units = hasUnits ? ((lasts[i] ?? null) as string | null) : null;
        current = { channel_name, chunk_index, revision, units, timestamps: [], values: [] };
      }
      current?.timestamps.push((timestamps[i] ?? null) as number | null);
      current?.values.push((values[i] ?? null) as number | null);
    }
  }
  if (current !== undefined) yield current;
}
