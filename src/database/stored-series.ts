/**
 * The two series of a row of `chunks` or `chunk_revisions` as they are stored (migrations/0013): each is either the
 * float8[] that was sent, or packed (packed-series.ts). Readers name the columns of series by this file. They decode
 * them in one of two ways: in this process, where many are read, or in SQL by chunk_points().
 */
import type { CopyRow } from '../lib/copy-binary.ts';
import { decodeFloat8Array } from './float8-array.ts';
import { unpack } from './packed-series.ts';

/** The columns of a series, in the order in which `readSeries` takes them. */
const columnsOf = (array: string, series: string) => [
  array,
  ...['exponent', 'base', 'step', 'residuals', 'rest'].map((part) => `${series}_${part}`),
];
export const timesColumns: readonly string[] = columnsOf('timestamps', 'time');
export const valuesColumns: readonly string[] = columnsOf('"values"', 'value');

/** How many fields of a COPY row a series takes. */
export const seriesFields = timesColumns.length;

/** SQL for the points of a row: `place` from 0, `seconds`, `value`. @param row the alias of a row */
export const pointsOfChunk = (row: string) =>
  `chunk_points(${['point_count', ...timesColumns, ...valuesColumns].map((column) => `${row}.${column}`).join(', ')})`;

/** SQL for a series of a row as the float8[] that was sent. */
export const timestampsOfChunk = (row: string) =>
  `coalesce(${row}.timestamps, array(select p.seconds from ${pointsOfChunk(row)} p order by p.place))`;
export const valuesOfChunk = (row: string) =>
  `coalesce(${row}."values", array(select p.value from ${pointsOfChunk(row)} p order by p.place))`;

/** SQL for both series of a row as they were sent, `timestamps` and `"values"`, decoded once. */
export const seriesAsSent = (row: string) =>
  `(select ${timestampsOfChunk(row)} as timestamps, ${valuesOfChunk(row)} as "values" offset 0)`;

/** SQL for the hash of the content of a row. @param sent the alias of its `seriesAsSent` */
export const contentHashOf = (row: string, sent: string) =>
  `sha256(array_send(${sent}.timestamps) || array_send(${sent}."values")
     || coalesce('\\x00'::bytea || convert_to(${row}.units, 'UTF8'), ''::bytea))`;

/** SQL for the last value of a row, NULL where it is absent. */
export const lastValueOfChunk = (row: string) => `case
    when ${row}."values" is not null then ${row}."values"[cardinality(${row}."values")]
    else (
      select (${row}.value_base + coalesce(${row}.value_step, 0) * (${row}.point_count - 1)
              + residual_at(r.bytes, residual_width(r.bytes, ${row}.point_count), ${row}.point_count - 1))
             / series_scale(${row}.value_exponent)
      from (select ${row}.value_residuals || coalesce(${row}.value_rest, '') as bytes offset 0) r)
  end`;

/** A series that is not decoded yet: its bytes are still in the buffer that was read. */
export interface StoredSeries {
  pointCount: number;
  /** As it was sent, in PostgreSQL's format; undefined where it is packed. */
  array: Buffer | undefined;
  exponent: number;
  base: number;
  step: number;
  /** Undefined where all residuals are 0. */
  residuals: Buffer | undefined;
  /** The last bytes of the residuals, where they are stored apart. */
  rest: Buffer | undefined;
}

const unpacked = { exponent: 0, base: 0, step: 0, residuals: undefined, rest: undefined };

/** Takes the columns of a series from a row; `field` is the first of them. */
export function readSeries(row: CopyRow, field: number, pointCount: number): StoredSeries {
  const bytes = (column: number) => (row.isNull(field + column) ? undefined : row.bytes(field + column));
  const array = bytes(0);
  if (array !== undefined) return { pointCount, array, ...unpacked };
  return {
    pointCount,
    array,
    exponent: row.int2(field + 1),
    base: row.int8(field + 2),
    step: row.isNull(field + 3) ? 0 : row.int8(field + 3),
    residuals: bytes(4),
    rest: bytes(5),
  };
}

/** Decodes a series; absent readings are NaN, which no stored reading is. @throws when the bytes are not a series */
export function decodeSeries({ pointCount, array, residuals, rest, ...line }: StoredSeries): Float64Array {
  if (array !== undefined) return decodeFloat8Array(array);
  const whole = rest === undefined ? (residuals ?? noBytes) : Buffer.concat([residuals ?? noBytes, rest]);
  return unpack({ ...line, residuals: whole }, pointCount);
}

const noBytes = Buffer.alloc(0);
