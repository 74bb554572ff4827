import type { Export } from './export.ts';
import type { Format } from './schemas.ts';

const nameBytesMax = 120;

/**
 * The file name of an export: the name of the stream, made valid for every file system, and the beginning of its id, so
 * that two streams of one name do not overwrite each other.
 */
export function fileNameOf({ streams, isSelection, layout, grid }: Export, format: Format): string {
  const [stream] = streams;
  const what =
    isSelection || stream === undefined
      ? `export-of-${streams.length}-streams`
      : `${fileSafe(stream.stream_name)}-${stream.data_id.slice(0, 8)}`;
  const rows = grid === undefined ? layout : `${layout}-${grid.fill}-every-${grid.stepMs / 1_000}s`;
  return `${what}-${rows}.${format}`;
}

/** Removes path separators, blanks, control characters, what shells and Windows refuse, and dots at both ends. */
function fileSafe(name: string): string {
  const safe = name.normalize('NFC').replace(/[\p{C}\p{Z}/\\:*?"<>|%']+/gu, '_');
  let kept = '';
  for (const character of safe) {
    if (Buffer.byteLength(kept + character) > nameBytesMax) break;
    kept += character;
  }
  return kept.replace(/^[._-]+|[._-]+$/g, '') || 'stream';
}
