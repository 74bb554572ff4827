/** Writes the archive of a run. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { OrganizationDatabase } from '../database/organizations.ts';
import type { ExportColumn } from '../exports/export.ts';
import { type ExportLimits, exportLimits } from '../exports/limits.ts';
import { readLong } from '../exports/long.ts';
import { longParquet } from '../exports/parquet.ts';
import { type Cells, createParquetFile } from '../exports/parquet-file.ts';
import { openStreamExport } from '../exports/service.ts';
import { httpLimits } from '../http/limits.ts';
import { certificateAnswer } from '../ledger/certificate.ts';
import { openLedgerRead } from '../ledger/ledger-read.ts';
import { ledgerLimits } from '../ledger/limits.ts';
import type { Pieces } from '../lib/json-writer.ts';
import { packageCommit, packageName, packageVersion } from '../lib/package-info.ts';
import { freely } from '../lib/reading.ts';
import { pointLimits } from '../points/limits.ts';
import {
  type ArchivedFile,
  type ArchivedRun,
  type ArchiveManifest,
  archiveContentsName,
  archiveFormat,
  archiveManifestName,
  archiveVersion,
  type ContentRow,
  certificateName,
  contentColumns,
  pointsName,
  revisionColumns,
  revisionsName,
} from './archive-format.ts';
import { makeEmptyFolder, publish, writeFileDurably } from './files.ts';
import type { RetentionLimits } from './limits.ts';
import { type ArchivedChannelRow, contentRows, keptContents } from './run-contents.ts';
import { findKeysOfRun, listChannelsOfRun } from './run-store.ts';

export interface ArchiveDependencies {
  organization: OrganizationDatabase;
  limits: RetentionLimits;
  /** The clock of this machine, in milliseconds of Unix time; only written into the archive. */
  now(): number;
}

/**
 * Writes everything that is stored of a run into a new folder. The folder gets its final name once it is complete and on
 * disk. A change of the run meanwhile may or may not be in the archive: the caller must compare the state of the run
 * afterwards.
 * @param path of the folder. A half written folder beside it (`.part`) is replaced
 */
export async function writeArchive(
  deps: ArchiveDependencies,
  run: ArchivedRun,
  rule: string,
  path: string,
): Promise<ArchiveManifest> {
  const part = `${path}.part`;
  await makeEmptyFolder(part);
  try {
    const channels = await listChannelsOfRun(deps.organization, run.data_id);
    const files: ArchivedFile[] = [];
    const write = async (name: string, pieces: AsyncIterable<Buffer>) => {
      files.push(await writeFileDurably(part, name, pieces));
    };
    await write(pointsName, await pointsOf(deps, run.data_id));
    const seen: Seen = { keyIds: new Set(), chunks: 0, revisions: 0, points: 0 };
    await write(archiveContentsName, contentsParquet(deps, run.data_id, channels, seen));
    if (seen.revisions > 0) await write(revisionsName, revisionsParquet(deps, run.data_id, channels));
    await write(certificateName, await certificateOf(deps.organization, run.data_id));
    const { keyIds, ...counts } = seen;
    const manifest: ArchiveManifest = {
      format: archiveFormat,
      version: archiveVersion,
      archived_at: new Date(deps.now()).toISOString(),
      server: { name: packageName, version: packageVersion, commit: packageCommit },
      rule,
      run,
      channels: channels.map(({ channel_id, ...channel }) => channel),
      keys: await findKeysOfRun(deps.organization, [...keyIds]),
      counts,
      files,
    };
    await writeFileDurably(part, archiveManifestName, piecesOf(`${JSON.stringify(manifest, undefined, 2)}\n`));
    await publish(part, path);
    return manifest;
  } catch (error) {
    await rm(part, { recursive: true, force: true }).catch(() => {});
    throw error;
  }
}

async function* piecesOf(text: string): Pieces {
  yield Buffer.from(text);
}

async function pointsOf({ organization, limits, now }: ArchiveDependencies, dataId: string): Promise<Pieces> {
  const bounds = { ...exportLimits, channelsMax: limits.channelsMax };
  const deps = { limits: bounds, plausible: { ...httpLimits }, now };
  const exported = await openStreamExport(organization, dataId, { layout: 'long' }, deps);
  const chunks = readLong({ organization, limits: { ...pointLimits }, reading: freely }, exported);
  return longParquet(exported, chunks, bounds, freely.rest);
}

/** The present certificate of a run. */
export async function certificateOf(organization: OrganizationDatabase, dataId: string): Promise<Pieces> {
  const bounds = { ...httpLimits, ...pointLimits, ...ledgerLimits };
  return certificateAnswer(await openLedgerRead({ organization, reading: freely }, dataId, bounds));
}

/** What was counted while contents were written. */
interface Seen {
  keyIds: Set<number>;
  chunks: number;
  revisions: number;
  points: number;
}

async function* contentsParquet(
  deps: ArchiveDependencies,
  dataId: string,
  channels: ArchivedChannelRow[],
  seen: Seen,
): Pieces {
  const rows = noted(contentRows(deps.organization, dataId, channels, deps.limits), seen);
  yield* parquetOf('What was stored of a run and by whom', contentColumns, cellsOfContents(rows));
}

async function* noted(rows: AsyncIterable<ContentRow>, seen: Seen): AsyncGenerator<ContentRow> {
  for await (const row of rows) {
    seen.keyIds.add(row.key_id);
    if (row.replaced_by_key_id !== null) seen.keyIds.add(row.replaced_by_key_id);
    if (row.revision > 0) seen.revisions++;
    else {
      seen.chunks++;
      seen.points += row.point_count;
    }
    yield row;
  }
}

type Cell = string | number | bigint | null;

async function* cellsOfContents(rows: AsyncIterable<ContentRow>): AsyncGenerator<Cell[]> {
  for await (const row of rows) {
    yield [
      row.channel_name,
      row.chunk_index,
      row.revision,
      row.point_count,
      row.null_count,
      row.units,
      row.content_hash,
      row.key_id,
      BigInt(row.stored_micros),
      BigInt(row.changed_micros),
      row.replaced_count,
      row.replaced_by_key_id,
      row.replacing_hash,
    ];
  }
}

async function* revisionsParquet(deps: ArchiveDependencies, dataId: string, channels: ArchivedChannelRow[]): Pieces {
  async function* cells(): AsyncGenerator<Cell[]> {
    for await (const { channel_name, chunk_index, revision, times, values } of keptContents(
      deps.organization,
      dataId,
      channels,
      deps.limits,
    )) {
      for (let i = 0; i < values.length; i++) {
        yield [channel_name, chunk_index, revision, orNull(times[i] as number), orNull(values[i] as number)];
      }
    }
  }
  yield* parquetOf('What chunks held before they were replaced', revisionColumns, cells());
}

const orNull = (reading: number) => (Number.isNaN(reading) ? null : reading);

/** Writes rows as a Parquet file, one row group at a time. */
async function* parquetOf(
  about: string,
  columns: readonly ExportColumn[],
  rows: AsyncIterable<Cell[]>,
  { groupRowsMax }: Pick<ExportLimits, 'groupRowsMax'> = exportLimits,
): Pieces {
  const file = createParquetFile(columns, { about }, freely.rest);
  let cells = columns.map((): Cell[] => []);
  const take = () => {
    const taken = cells;
    cells = columns.map(() => []);
    return taken.map((column) => () => column as Cells);
  };
  for await (const row of rows) {
    for (const [i, cell] of row.entries()) (cells[i] as Cell[]).push(cell);
    if (cells[0]?.length === groupRowsMax) yield* file.rowGroup(take());
  }
  if (cells[0]?.length !== 0) yield* file.rowGroup(take());
  yield file.end();
}

/** The path of the archive of a run in this state, below a folder. */
export const archivePath = (folder: string, { data_id, state }: Pick<ArchivedRun, 'data_id' | 'state'>) =>
  join(folder, `${data_id}-${state.slice(0, 8)}`);
