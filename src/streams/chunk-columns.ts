import { textArray } from '../database/array-literal.ts';
import { uuidArray } from '../database/binary-array.ts';
import { encodeFloat8Array } from '../database/float8-array.ts';
import { bytesApart, isPacked, joinElements, type SeriesImage } from '../database/series-image.ts';
import type { KnownRow } from './ingest-rows.ts';
import { longParameters, placeColumns, placeSeries, type Slice, sliceSql } from './series-slices.ts';

/*
 * The one table of the columns of `chunks` that a writer fills. All that names these columns is made from it: the list
 * of an insert, the parameters of a statement, the subquery that turns parameters into rows, what a replacement sets
 * and what a revision keeps. So a new column takes one entry here, a migration, and a test.
 */

/**
 * The TypeScript type for each type of column. Numbers are sent as float8, which holds integers exactly up to 2^53. A
 * hash has 32 bytes.
 */
interface Values {
  uuid: string;
  text: string | null;
  bigint: number | null;
  integer: number;
  smallint: number | null;
  float8: number | null;
  boolean: boolean;
  hash: Buffer;
}

type OfType<Type extends keyof Values> = { type: Type; of(row: KnownRow): Values[Type] };
type Scalar = { [Type in keyof Values]: OfType<Type> }[keyof Values];
/** A column whose value is a slice of a long parameter. */
type Sliced = { type: 'float8[]' | 'bytea'; slice: Slice };

type ChunkColumn = (Scalar | Sliced) & {
  /** As it is written in SQL. */
  name: string;
  /** It is part of the address of a chunk: a replacement does not change it. */
  isKey?: true;
  /** A revision does not keep it, since it can be computed again. */
  isDerived?: true;
};

const numbersOf = (image: SeriesImage) => (isPacked(image) ? image : undefined);
const exponentOf = (image: SeriesImage) => numbersOf(image)?.exponent ?? null;
const baseOf = (image: SeriesImage) => numbersOf(image)?.base ?? null;
// The values of most channels have no step. NULL takes no room for that.
const stepOf = (image: SeriesImage) => numbersOf(image)?.step || null;

export const chunkColumns: readonly ChunkColumn[] = [
  { name: 'data_id', type: 'uuid', isKey: true, of: ({ item }) => item.dataId },
  { name: 'channel_id', type: 'bigint', isKey: true, of: ({ channelId }) => channelId },
  { name: 'chunk_index', type: 'bigint', isKey: true, of: ({ item }) => item.chunkIndex },
  {
    name: 'start_offset',
    type: 'bigint',
    isDerived: true,
    of: ({ item, pointsPerChunk }) => item.chunkIndex * pointsPerChunk,
  },
  { name: 'key_id', type: 'bigint', of: ({ item }) => item.keyId },
  { name: 'time_min', type: 'float8', of: ({ image }) => image.timeMin },
  { name: 'time_max', type: 'float8', of: ({ image }) => image.timeMax },
  { name: 'point_count', type: 'integer', of: ({ image }) => image.pointCount },
  { name: 'null_count', type: 'integer', of: ({ image }) => image.nullCount },
  { name: 'ascending', type: 'boolean', of: ({ image }) => image.ascending },
  { name: 'content_hash', type: 'hash', of: ({ image }) => image.contentHash },
  { name: 'units', type: 'text', of: ({ image }) => image.units },
  { name: 'timestamps', type: 'float8[]', slice: { series: 'time', of: 'sent' } },
  { name: 'time_exponent', type: 'smallint', of: ({ image }) => exponentOf(image.timestamps) },
  { name: 'time_base', type: 'bigint', of: ({ image }) => baseOf(image.timestamps) },
  { name: 'time_step', type: 'bigint', of: ({ image }) => stepOf(image.timestamps) },
  { name: 'time_residuals', type: 'bytea', slice: { series: 'time', of: 'residuals' } },
  { name: 'time_rest', type: 'bytea', slice: { series: 'time', of: 'rest' } },
  { name: '"values"', type: 'float8[]', slice: { series: 'value', of: 'sent' } },
  { name: 'value_exponent', type: 'smallint', of: ({ image }) => exponentOf(image.values) },
  { name: 'value_base', type: 'bigint', of: ({ image }) => baseOf(image.values) },
  { name: 'value_step', type: 'bigint', of: ({ image }) => stepOf(image.values) },
  { name: 'value_residuals', type: 'bytea', slice: { series: 'value', of: 'residuals' } },
  { name: 'value_rest', type: 'bytea', slice: { series: 'value', of: 'rest' } },
  { name: 'value_min', type: 'float8', isDerived: true, of: ({ image }) => image.valueMin },
  { name: 'value_max', type: 'float8', isDerived: true, of: ({ image }) => image.valueMax },
  { name: 'value_min_time', type: 'float8', isDerived: true, of: ({ image }) => image.valueMinTime },
  { name: 'value_max_time', type: 'float8', isDerived: true, of: ({ image }) => image.valueMaxTime },
  { name: 'organization_id', type: 'uuid', of: ({ item }) => item.organizationId },
];

const listed = (columns: readonly ChunkColumn[], write: (name: string) => string) =>
  columns.map(({ name }) => write(name)).join(', ');

/** The column list of an insert. */
export const columnNames = listed(chunkColumns, (name) => name);

/** What `update chunks … from b` sets. */
export const replacedColumns = listed(
  chunkColumns.filter(({ isKey }) => !isKey),
  (name) => `${name} = b.${name}`,
);

const kept = chunkColumns.filter(({ isDerived }) => !isDerived);

/** What a revision keeps of a chunk: as columns of `chunk_revisions`, and as columns of the chunk `k`. */
export const keptColumns = listed(kept, (name) => name);
export const keptColumnsOfChunk = listed(kept, (name) => `k.${name}`);

const isScalar = <Column extends ChunkColumn>(column: Column): column is Column & Scalar => 'of' in column;
const scalars = chunkColumns.filter(isScalar);

/** The type of the array that is sent for a column; undefined for a hash, since all hashes are sent as one bytea. */
function arrayType({ type }: Scalar): string | undefined {
  if (type === 'hash') return undefined;
  return type === 'uuid' || type === 'text' ? `${type}[]` : 'float8[]';
}

/** The SQL expression of a column, made from `u`, the unnested arrays, and from the long parameters. */
function expressionOf(column: ChunkColumn, parameterOf: (name: string) => number): string {
  const { name, type } = column;
  if (!isScalar(column)) return `${sliceSql(column.slice, parameterOf)} as ${name}`;
  if (type === 'boolean') return `u.${name} = 1 as ${name}`;
  if (type === 'bigint' || type === 'integer' || type === 'smallint') return `u.${name}::${type}`;
  if (type !== 'hash') return `u.${name}`;
  return `substring($${parameterOf(name)}::bytea from u.position * 32 - 31 for 32) as ${name}`;
}

const parameterNames = [...scalars.map(({ name }) => name), ...placeColumns, ...longParameters];

/** How many parameters `rowsSql` has. A statement with more parameters numbers them after these. */
export const rowsParametersCount = parameterNames.length;

/**
 * A subquery of rows, of any number and in any form. Every column is sent as one array. The series of all chunks lie
 * end to end in two long parameters, and each row takes its slices of them. That makes 31 parameters and one prepared
 * statement. A `values` list would take 29 parameters a row, which cost 1.1 µs each to send, and one prepared statement
 * for each number of rows. The arrays are unnested in the select list: `from unnest(…)` first writes each of them to a
 * temporary store.
 * @param arrays further arrays to unnest, as columns of `u`
 * @param columns further columns after those of `columnNames`; they may use `u`
 */
export function rowsSqlWith({ arrays, columns }: { arrays: { name: string; array: string }[]; columns: string[] }) {
  const parameterOf = (name: string) => parameterNames.indexOf(name) + 1;
  const own = [
    ...scalars.map((column) => ({ name: column.name, type: arrayType(column) })),
    ...placeColumns.map((name) => ({ name, type: 'float8[]' })),
  ].filter(({ type }) => type !== undefined);
  const unnested = [...own.map(({ name, type }) => ({ name, array: `$${parameterOf(name)}::${type}` })), ...arrays];
  return `
  select ${[...chunkColumns.map((column) => expressionOf(column, parameterOf)), ...columns].join(', ')}
  from (
    select ${unnested.map(({ name, array }) => `unnest(${array}) as ${name}`).join(', ')},
           generate_series(1, cardinality($1::uuid[])) as position
  ) as u`;
}

export const rowsSql = rowsSqlWith({ arrays: [], columns: [] });

/** The parameters of `rowsSql`. */
export function rowsParameters(rows: readonly KnownRow[]): unknown[] {
  return [...scalars.map((column) => scalarParameter(column, rows)), ...placeSeries(rows)];
}

function scalarParameter(column: Scalar, rows: readonly KnownRow[]): unknown {
  switch (column.type) {
    case 'uuid':
      return uuidArray(rows.map(column.of));
    case 'text':
      return textArray(rows.map(column.of));
    case 'hash':
      return Buffer.concat(rows.map(column.of));
    case 'boolean':
      return encodeFloat8Array(rows.map((row) => Number(column.of(row))));
    default:
      return encodeFloat8Array(rows.map(column.of));
  }
}

/** A column of one row: its name, a parameter, and SQL that makes the column of that parameter. */
export interface Value {
  name: string;
  isKey: boolean;
  parameter: unknown;
  sql(parameter: string): string;
}

/**
 * The columns of `columnNames` for one row, for a statement whose rows are written one by one. In a cluster that is sent to
 * their node as it is; rows that a subquery makes would first be stored as a file there.
 */
export function valuesOf(row: KnownRow): Value[] {
  return chunkColumns.map((column) => {
    const { name, isKey = false } = column;
    if (isScalar(column)) {
      const type = column.type === 'hash' ? 'bytea' : column.type;
      return { name, isKey, parameter: exactly(column.of(row)), sql: (parameter) => `${parameter}::${type}` };
    }
    const { slice, type } = column;
    const image = slice.series === 'time' ? row.image.timestamps : row.image.values;
    const hasNulls = slice.of === 'sent' && !isPacked(image) && image.hasNulls;
    const plain = (parameter: string) => `${parameter}::${type}`;
    const withNulls = (parameter: string) => `array_replace(${plain(parameter)}, 'NaN'::float8, null)`;
    return { name, isKey, parameter: bytesOf(image, slice.of), sql: hasNulls ? withNulls : plain };
  });
}

/** A number as text loses the sign of its zero. */
const exactly = (value: unknown) => (Object.is(value, -0) ? '-0' : value);

function bytesOf(image: SeriesImage, of: Slice['of']): Buffer | null {
  if (!isPacked(image)) return of === 'sent' ? joinElements([image.elements]) : null;
  const { residuals } = image;
  const end = residuals.length - bytesApart(residuals);
  const slice = of === 'residuals' ? residuals.subarray(0, end) : residuals.subarray(end);
  return of === 'sent' || slice.length === 0 ? null : slice;
}
