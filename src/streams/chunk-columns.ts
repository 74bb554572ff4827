import { plainArray, textArray } from '../database/array-literal.ts';
import { encodeFloat8Array, joinFloat8Arrays } from '../database/float8-array.ts';
import type { PlacedRow } from './rows.ts';

/*
 * The columns of `chunks` that a writer fills, in one table. All that has to name them is made of it: the list of an insert,
 * the parameters of a statement, the subquery that turns those into rows, what a replacement sets and what a revision keeps.
 * So a new column takes one entry here, a migration, and a test.
 */

/**
 * What a row gives for a column of each type. Numbers travel as float8, which holds whole ones exactly up to 2^53; a hash has
 * 32 bytes; a float8[] is PostgreSQL's binary image of an array of `point_count` elements.
 */
interface Values {
  uuid: string;
  text: string | null;
  bigint: number;
  integer: number;
  float8: number | null;
  boolean: boolean;
  hash: Buffer;
  'float8[]': Buffer;
}

type OfType<Type extends keyof Values> = { type: Type; of(row: PlacedRow): Values[Type] };

type ChunkColumn = { [Type in keyof Values]: OfType<Type> }[keyof Values] & {
  /** As it stands in SQL. */
  name: string;
  /** Part of the address of a chunk: a replacement leaves it alone. */
  isKey?: true;
  /** Not part of what a revision keeps, since it can be computed anew. */
  isDerived?: true;
};

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
  { name: 'timestamps', type: 'float8[]', of: ({ image }) => image.timestamps },
  { name: '"values"', type: 'float8[]', of: ({ image }) => image.values },
  { name: 'value_min', type: 'float8', isDerived: true, of: ({ image }) => image.valueMin },
  { name: 'value_max', type: 'float8', isDerived: true, of: ({ image }) => image.valueMax },
  { name: 'value_min_time', type: 'float8', isDerived: true, of: ({ image }) => image.valueMinTime },
  { name: 'value_max_time', type: 'float8', isDerived: true, of: ({ image }) => image.valueMaxTime },
  { name: 'organization_id', type: 'uuid', of: ({ item }) => item.organizationId },
];

const listed = (columns: readonly ChunkColumn[], write: (name: string) => string) =>
  columns.map(({ name }) => write(name)).join(', ');

/** The list of an insert. */
export const columnNames = listed(chunkColumns, (name) => name);

/** What `update chunks … from b` sets. */
export const replacedColumns = listed(
  chunkColumns.filter(({ isKey }) => !isKey),
  (name) => `${name} = b.${name}`,
);

const kept = chunkColumns.filter(({ isDerived }) => !isDerived);

/** What a revision keeps of a chunk: the columns of `chunk_revisions`, and the same of the chunk `k`. */
export const keptColumns = listed(kept, (name) => name);
export const keptColumnsOfChunk = listed(kept, (name) => `k.${name}`);

/** Where a piece begins in the long arrays of a statement, from 1. It is the last parameter. */
const firstParameter = chunkColumns.length + 1;

/** The type of the array that is sent for a column, where it is one array for all rows. */
function arrayType({ type }: ChunkColumn): string | undefined {
  if (type === 'hash' || type === 'float8[]') return undefined;
  return type === 'uuid' || type === 'text' ? `${type}[]` : 'float8[]';
}

/** A column of a row, of what `unnest` gives as `u` and of the long arrays. */
function expressionOf({ name, type }: ChunkColumn, parameter: number): string {
  if (type === 'boolean') return `u.${name} = 1 as ${name}`;
  if (type === 'bigint' || type === 'integer') return `u.${name}::${type}`;
  if (type === 'hash') return `substring($${parameter}::bytea from u.position::integer * 32 - 31 for 32) as ${name}`;
  if (type !== 'float8[]') return `u.${name}`;
  return `($${parameter}::float8[])[u.first::integer : (u.first + u.point_count)::integer - 1] as ${name}`;
}

/**
 * Rows as a subquery, whatever their number: every column is one array, and the arrays of all chunks lie end to end in two
 * long ones, of which each row takes its slice. Against a `values` list with a parameter for each value this takes 20
 * parameters instead of 19 a row (which cost 1.1 µs each to send), and one prepared statement instead of one per size.
 */
export const rowsSql = (() => {
  const numbered = chunkColumns.map((column, i) => ({ column, parameter: i + 1, array: arrayType(column) }));
  const arrays = numbered.filter(({ array }) => array !== undefined);
  return `
  select ${numbered.map(({ column, parameter }) => expressionOf(column, parameter)).join(', ')}
  from unnest(${arrays.map(({ parameter, array }) => `$${parameter}::${array}`).join(', ')}, $${firstParameter}::float8[])
    with ordinality as u (${arrays.map(({ column }) => column.name).join(', ')}, first, position)`;
})();

/** The parameters of `rowsSql`. */
export function rowsParameters(rows: readonly PlacedRow[]): unknown[] {
  let next = 1;
  const firsts = rows.map(({ image }) => {
    next += image.pointCount;
    return next - image.pointCount;
  });
  return [...chunkColumns.map((column) => parameterOf(column, rows)), encodeFloat8Array(firsts)];
}

function parameterOf(column: ChunkColumn, rows: readonly PlacedRow[]): unknown {
  switch (column.type) {
    case 'uuid':
      return plainArray(rows.map(column.of));
    case 'text':
      return textArray(rows.map(column.of));
    case 'hash':
      return Buffer.concat(rows.map(column.of));
    case 'float8[]':
      return joinFloat8Arrays(rows.map(column.of));
    case 'boolean':
      return encodeFloat8Array(rows.map((row) => Number(column.of(row))));
    default:
      return encodeFloat8Array(rows.map(column.of));
  }
}
