/**
 * The format of an archive: a folder of files in open formats, named by the run and a hash of its state.
 *
 * - `points.parquet`: every point, the export in the long layout; with `certificate.json` it passes
 *   tools/verify_certificate.py
 * - `contents.parquet`: a row for every chunk and for every replaced content: who stored it, when, its hash
 * - `revisions.parquet`: the points of replaced contents; only if there are any
 * - `certificate.json`: the certificate as the server answered it
 * - `run.json`: everything else about the run, and the SHA-256 of each file
 */
import type { ExportColumn } from '../exports/export.ts';

export const archiveFormat = 'metrology-server archive';
export const archiveVersion = 1;
export const archiveManifestName = 'run.json';
export const certificateName = 'certificate.json';
export const pointsName = 'points.parquet';
export const archiveContentsName = 'contents.parquet';
export const revisionsName = 'revisions.parquet';

export interface Named<Id = string> {
  id: Id;
  name: string;
}

/** The row of a run, with what is linked to it. Times are text with microseconds. */
export interface ArchivedRun {
  data_id: string;
  stream_name: string;
  points_per_chunk: number;
  instrument_type: string | null;
  pipeline_status: string | null;
  char_source_type: string | null;
  note: string | null;
  note_changed_at: string | null;
  created_at: string;
  changed_at: string;
  finalized_at: string | null;
  processed_data_id: string;
  processed_created_at: string;
  /** A hash that changes whenever the run changes. */
  state: string;
  organization: Named;
  user: Named;
  instrument: (Named<number> & { type: string; model: string | null; serial_id: string | null }) | null;
  physical_sample: Named | null;
  project: Named | null;
  tags: (Named & { put_on_at: string })[];
}

export interface ArchivedChannel {
  channel_name: string;
  chunk_count: number;
  point_count: number;
  null_count: number;
  /** The longest time that one of its chunks ever spanned, in seconds. */
  chunk_seconds_max: number | null;
  /** Microseconds since 1970. */
  created_micros: number;
  changed_micros: number;
}

/** What is stored about a content: the present content of a chunk (revision 0), or one that was replaced. */
export interface ContentFacts {
  chunk_index: number;
  revision: number;
  point_count: number;
  null_count: number;
  units: string | null;
  /** Hexadecimal. */
  content_hash: string;
  key_id: number;
  /** Microseconds since 1970: when it was stored, and when it was last changed or replaced. */
  stored_micros: number;
  changed_micros: number;
  /** Only for present contents: how often the chunk was replaced. */
  replaced_count: number | null;
  /** Only for replaced contents. */
  replaced_by_key_id: number | null;
  replacing_hash: string | null;
}

/** A content with the name of its channel. */
export interface ContentRow extends ContentFacts {
  channel_name: string;
}

const column = (name: string, type: ExportColumn['type'], isRequired = true): ExportColumn => ({
  name,
  type,
  isRequired,
});

export const contentColumns: readonly ExportColumn[] = [
  column('channel_name', 'text'),
  column('chunk_index', 'integer'),
  column('revision', 'integer'),
  column('point_count', 'integer'),
  column('null_count', 'integer'),
  column('units', 'text', false),
  column('content_hash', 'text'),
  column('key_id', 'integer'),
  column('stored_at', 'time'),
  column('changed_at', 'time'),
  column('replaced_count', 'integer', false),
  column('replaced_by_key_id', 'integer', false),
  column('replacing_hash', 'text', false),
];

export const revisionColumns: readonly ExportColumn[] = [
  column('channel_name', 'text'),
  column('chunk_index', 'integer'),
  column('revision', 'integer'),
  column('timestamp', 'float64', false),
  column('value', 'float64', false),
];

export interface ArchivedFile {
  name: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

export interface ArchiveManifest {
  format: typeof archiveFormat;
  version: typeof archiveVersion;
  archived_at: string;
  server: { name: string; version: string; commit: string };
  /** The rule by which it was archived, in words. */
  rule: string;
  run: ArchivedRun;
  channels: ArchivedChannel[];
  keys: { key_id: number; key_hint: string; user_name: string }[];
  counts: { chunks: number; revisions: number; points: number };
  files: ArchivedFile[];
}
