import { limits } from '../config.ts';
import { plainArray, textArray } from '../database/array-literal.ts';
import { encodeFloat8Array, hasNulls, joinFloat8Arrays } from '../database/float8-array.ts';
import type { PlacedRow } from './rows.ts';

/** The columns of `chunks` that a row fills. */
export const columns =
  'data_id, channel_id, chunk_index, start_offset, key_id, time_min, time_max, point_count, null_count, ascending, ' +
  'content_hash, units, timestamps, "values", value_min, value_max, value_min_time, value_max_time, organization_id';

/**
 * Rows as a subquery, whatever their number: every column is one array, and the arrays of all chunks lie end to end in two
 * long ones, of which each row takes its slice. Against a `values` list with a parameter for each value this takes 20
 * parameters instead of 19 a row (which cost 1.1 µs each to send), and one prepared statement instead of one per size.
 * Whole numbers travel as float8, which holds them exactly up to 2^53.
 */
export const rowsSql = `
  select u.data_id, u.channel_id::bigint, u.chunk_index::bigint, u.start_offset::bigint, u.key_id::bigint,
         u.time_min, u.time_max, u.point_count::integer, u.null_count::integer, u.ascending = 1 as ascending,
         substring($12::bytea from u.position::integer * 32 - 31 for 32) as content_hash, u.units,
         ($13::float8[])[u.first::integer : (u.first + u.point_count)::integer - 1] as timestamps,
         ($14::float8[])[u.first::integer : (u.first + u.point_count)::integer - 1] as "values",
         u.value_min, u.value_max, u.value_min_time, u.value_max_time, u.organization_id
  from unnest($1::uuid[], $2::float8[], $3::float8[], $4::float8[], $5::float8[], $6::float8[], $7::float8[],
              $8::float8[], $9::float8[], $10::float8[], $11::text[], $15::float8[], $16::float8[], $17::float8[],
              $18::float8[], $19::float8[], $20::uuid[]) with ordinality
    as u (data_id, channel_id, chunk_index, start_offset, key_id, time_min, time_max, point_count, null_count,
          ascending, units, first, value_min, value_max, value_min_time, value_max_time, organization_id, position)`;

/** The parameters of `rowsSql`. */
export function rowsParameters(rows: readonly PlacedRow[]): unknown[] {
  const numbers = (value: (row: PlacedRow) => number | null) => encodeFloat8Array(rows.map(value));
  let first = 1;
  const firsts = rows.map(({ image }) => {
    first += image.pointCount;
    return first - image.pointCount;
  });
  return [
    plainArray(rows.map(({ item }) => item.dataId)),
    numbers(({ channelId }) => channelId),
    numbers(({ item }) => item.chunkIndex),
    numbers(({ item, pointsPerChunk }) => item.chunkIndex * pointsPerChunk),
    numbers(({ item }) => item.keyId),
    numbers(({ image }) => image.timeMin),
    numbers(({ image }) => image.timeMax),
    numbers(({ image }) => image.pointCount),
    numbers(({ image }) => image.nullCount),
    numbers(({ image }) => Number(image.ascending)),
    textArray(rows.map(({ image }) => image.units)),
    Buffer.concat(rows.map(({ image }) => image.contentHash)),
    joinFloat8Arrays(rows.map(({ image }) => image.timestamps)),
    joinFloat8Arrays(rows.map(({ image }) => image.values)),
    encodeFloat8Array(firsts),
    numbers(({ image }) => image.valueMin),
    numbers(({ image }) => image.valueMax),
    numbers(({ image }) => image.valueMinTime),
    numbers(({ image }) => image.valueMaxTime),
    plainArray(rows.map(({ item }) => item.organizationId)),
  ];
}

/**
 * Rows of a statement: those whose arrays have NULL elements go apart from those that have none, since a slice of an array
 * with NULL elements keeps the null bitmap even where it has none itself. They go in smaller parts too: PostgreSQL finds
 * such a slice by walking there from the start (10,000 channels of 100 points in one part: 24 s instead of 2).
 */
export function statementParts(rows: readonly PlacedRow[]): PlacedRow[][] {
  const parts: PlacedRow[][] = [[], [], [], []];
  for (const row of rows) {
    parts[Number(hasNulls(row.image.timestamps)) * 2 + Number(hasNulls(row.image.values))]?.push(row);
  }
  const [whole = [], ...withNulls] = parts;
  return [whole, ...withNulls.flatMap((part) => piecesOf(part, limits.nullRowsMax))].filter((part) => part.length > 0);
}

function piecesOf<Row>(rows: readonly Row[], rowsMax: number): Row[][] {
  const count = Math.ceil(rows.length / rowsMax);
  return Array.from({ length: count }, (_, i) => rows.slice(i * rowsMax, (i + 1) * rowsMax));
}
