import type { Static } from '@sinclair/typebox';
import { packageCommit, packageName, packageVersion } from '../lib/package-info.ts';
import { renameReserved } from '../lib/reserved-names.ts';
import type { Grid, Window } from './grid.ts';
import type { ExportMetadata, Layout } from './schemas.ts';
import type { CountedChannel, StreamRow } from './store.ts';

export interface ExportedStream extends StreamRow {
  /** In the order of their names, as in the rows of the long layout. */
  channels: CountedChannel[];
}

export interface ExportColumn {
  name: string;
  type: 'text' | 'integer' | 'float64' | 'time';
  /** Whether no cell is null. */
  isRequired: boolean;
  /** Wide layout: the channel of the column, and its unit if all streams have the same. */
  channel?: { name: string; units: string | null };
}

/** An export before any of its points is read. */
export interface Export {
  layout: Layout;
  /** Whether it was made for a selection of streams: then each row names its stream, even if there is only one. */
  isSelection: boolean;
  streams: ExportedStream[];
  columns: ExportColumn[];
  exportedAt: Date;
  /** The window of the wide layout. */
  window: Window;
  /** Wide layout with even times; undefined where each time of a point has a row. */
  grid?: Grid | undefined;
}

interface Wanted extends Omit<Export, 'columns'> {
  /** Whether the names of channel columns include their unit. */
  unitsInHeaders?: boolean | undefined;
}

export function describeExport({ unitsInHeaders, ...wanted }: Wanted): Export {
  const { layout, isSelection, streams } = wanted;
  const channels = unitsInHeaders ? withUnits(channelColumns(streams)) : channelColumns(streams);
  const columns = layout === 'long' ? longColumns : [...instantColumns, ...channels];
  return { ...wanted, columns: isSelection ? [dataIdColumn, ...columns] : columns };
}

/**
 * Describes where the data come from and what the columns hold, for the metadata route and for the metadata inside Parquet.
 */
export function metadataOf(exported: Export): Static<typeof ExportMetadata> {
  const { layout, streams, columns, exportedAt } = exported;
  return {
    server: { name: packageName, version: packageVersion, commit: packageCommit },
    exported_at: exportedAt.toISOString(),
    layout,
    ...rowsOf(exported),
    columns: columns.map(({ name, type, channel }) => ({
      name,
      type,
      ...(channel && { channel_name: channel.name, units: channel.units }),
    })),
    streams: streams.map(({ channels, ...stream }) => ({
      ...stream,
      channels: channels.map(({ data_id, channel_id, ...channel }) => channel),
    })),
  };
}

/** Describes the times of the rows, if they are not simply those of all points. */
function rowsOf({
  window: { startMs, endMs, carry_in },
  grid,
}: Export): Pick<Static<typeof ExportMetadata>, 'window' | 'grid'> {
  const secondsOf = (ms: number | undefined) => (ms === undefined ? null : ms / 1_000);
  const isWhole = startMs === undefined && endMs === undefined;
  return {
    ...(!isWhole && {
      window: { start: secondsOf(startMs), end: secondsOf(endMs), ...(carry_in && { carry_in: true as const }) },
    }),
    ...(grid && {
      grid: {
        every_seconds: grid.stepMs / 1_000,
        fill: grid.fill,
        ...(grid.fill === 'previous' && { max_age_seconds: grid.maxAgeMs / 1_000 }),
      },
    }),
  };
}

const dataIdColumn: ExportColumn = { name: 'data_id', type: 'text', isRequired: true };

const longColumns: ExportColumn[] = [
  { name: 'channel_name', type: 'text', isRequired: true },
  { name: 'chunk_index', type: 'integer', isRequired: true },
  { name: 'point_offset', type: 'integer', isRequired: true },
  { name: 'timestamp', type: 'float64', isRequired: false },
  { name: 'time', type: 'time', isRequired: false },
  { name: 'value', type: 'float64', isRequired: false },
  { name: 'units', type: 'text', isRequired: false },
];

const instantColumns: ExportColumn[] = [
  { name: 'time', type: 'time', isRequired: false },
  { name: 'timestamp', type: 'float64', isRequired: true },
];

/**
 * Names that the column of a channel cannot have. Such a channel is called `NAME (channel)`, as in the time-series reads.
 */
const reservedNames: ReadonlySet<string> = new Set(['data_id', ...instantColumns.map((column) => column.name)]);

/** A column for each name that a channel has in any of the streams, in the order of the names. */
function channelColumns(streams: ExportedStream[]): ExportColumn[] {
  const unitsOf = new Map<string, string | null>();
  for (const { channel_name: name, units } of streams.flatMap((stream) => stream.channels)) {
    unitsOf.set(name, unitsOf.has(name) && unitsOf.get(name) !== units ? null : units);
  }
  const names = [...unitsOf.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const columnNames = renameReserved(names, reservedNames, 'channel');
  return names.map((name, i) => ({
    name: columnNames[i] as string,
    type: 'float64',
    isRequired: false,
    channel: { name, units: unitsOf.get(name) ?? null },
  }));
}

/** Renames columns to `NAME [UNIT]`. A column keeps its plain name where two columns would have the same name. */
function withUnits(columns: ExportColumn[]): ExportColumn[] {
  const named = columns.map((column) => {
    const units = column.channel?.units?.trim();
    return { ...column, name: units ? `${column.name} [${units}]` : column.name };
  });
  const counts = new Map<string, number>();
  // Plain names count too: a column may go back to its plain name, which must be free then.
  for (const name of [...named, ...columns].map((column) => column.name)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return named.map((column, i) => {
    const plain = columns[i] as ExportColumn;
    return column.name === plain.name || counts.get(column.name) === 1 ? column : plain;
  });
}
