import type { Static } from '@sinclair/typebox';
import { packageCommit, packageName, packageVersion } from '../lib/package-info.ts';
import { renameReserved } from '../lib/reserved-names.ts';
import type { Grid, Window } from './grid.ts';
import type { ExportMetadata, Layout } from './schemas.ts';
import type { CountedChannel, StreamRow } from './store.ts';

export interface ExportedStream extends StreamRow {
  /** In the order of their names, which is that of the rows of the long layout. */
  channels: CountedChannel[];
}

export interface ExportColumn {
  name: string;
  type: 'text' | 'integer' | 'float64' | 'time';
  /** Never null. */
  isRequired: boolean;
  /** Wide layout: the channel that the column holds, and its unit where all streams agree on one. */
  channel?: { name: string; units: string | null };
}

/** What is exported, before a point of it is read. */
export interface Export {
  layout: Layout;
  /** Whether it is of several streams, or could be: then each row says of which one it is. */
  isSelection: boolean;
  streams: ExportedStream[];
  columns: ExportColumn[];
  exportedAt: Date;
  /** Which points the rows of the wide layout are made of. */
  window: Window;
  /** Wide layout: the even times of its rows; undefined where they are those of the points. */
  grid?: Grid | undefined;
}

interface Wanted extends Omit<Export, 'columns'> {
  /** Whether the names of channel columns have their unit. */
  unitsInHeaders?: boolean | undefined;
}

export function describeExport({ unitsInHeaders, ...wanted }: Wanted): Export {
  const { layout, isSelection, streams } = wanted;
  const channels = unitsInHeaders ? withUnits(channelColumns(streams)) : channelColumns(streams);
  const columns = layout === 'long' ? longColumns : [...instantColumns, ...channels];
  return { ...wanted, columns: isSelection ? [dataIdColumn, ...columns] : columns };
}

/** Where the data come from and what the columns hold: the answer of its own route, and the metadata of Parquet. */
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

/** What is said of the times of the rows, where they are not simply those of the points. */
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

/** Names that a channel's column cannot have; it is called `NAME (channel)` then, as in the time-series reads. */
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

/** The columns under `NAME [UNIT]`, each of which stays as it is where that would give two of them one name. */
function withUnits(columns: ExportColumn[]): ExportColumn[] {
  const named = columns.map((column) => {
    const units = column.channel?.units?.trim();
    return { ...column, name: units ? `${column.name} [${units}]` : column.name };
  });
  const counts = new Map<string, number>();
  // Plain names count too: a column goes back to its own, which must not be another one's by then.
  for (const name of [...named, ...columns].map((column) => column.name)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return named.map((column, i) => {
    const plain = columns[i] as ExportColumn;
    return column.name === plain.name || counts.get(column.name) === 1 ? column : plain;
  });
}
