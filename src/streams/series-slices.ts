import { encodeFloat8Array } from '../database/float8-array.ts';
import { bytesApart, imageBytes, isPacked, joinElements, type SeriesImage } from '../database/series-image.ts';
import type { KnownRow } from './ingest-rows.ts';

/*
 * How the series of many chunks are sent in one statement, in any form. The residuals of all packed series lie end to
 * end in one parameter, and the elements of all other series lie end to end in another. Each row says where its own
 * part is. Absent readings of unpacked series are sent as NaN, and PostgreSQL turns them into NULL: it finds a slice at
 * once in an array without NULL elements, and has to walk through an array with some.
 */

export interface Slice {
  series: 'time' | 'value';
  of: 'sent' | 'residuals' | 'rest';
}

const series = ['time', 'value'] as const;

/**
 * For each series of a row: where it begins, from 1; how many bytes of residuals it has (or a code); how many bytes
 * stand apart.
 */
export const placeColumns = series.flatMap((one) => [`${one}_first`, `${one}_bytes`, `${one}_apart`]);

/** Codes in the place of that number of bytes: a series as it was sent, without and with absent readings. */
const sentCode = -1;
const sentWithNullsCode = -2;

/** The parameters after those. */
export const longParameters = ['sent', 'residuals'] as const;

/** The SQL expression of a column, made from the places in `u`. */
export function sliceSql({ series: one, of }: Slice, parameterOf: (name: string) => number): string {
  if (of === 'sent') {
    const last = `(u.${one}_first + u.point_count)::integer - 1`;
    const slice = `($${parameterOf('sent')}::float8[])[u.${one}_first::integer : ${last}]`;
    return `case u.${one}_bytes when ${sentCode} then ${slice}
      when ${sentWithNullsCode} then array_replace(${slice}, 'NaN'::float8, null) end`;
  }
  const all = `$${parameterOf('residuals')}::bytea`;
  return of === 'residuals'
    ? `case when u.${one}_bytes > 0 then substring(${all} from u.${one}_first::integer for u.${one}_bytes::integer) end`
    : `case when u.${one}_apart > 0 then
        substring(${all} from (u.${one}_first + u.${one}_bytes)::integer for u.${one}_apart::integer) end`;
}

/** The parameters of `placeColumns` and `longParameters`. */
export function placeSeries(rows: readonly KnownRow[]): Buffer[] {
  const sent: Buffer[] = [];
  const residuals: Buffer[] = [];
  let nextPoint = 1;
  let nextByte = 1;
  const columns = placeColumns.map(() => new Array<number>(rows.length));
  const place = (row: number, column: number, image: SeriesImage, pointCount: number) => {
    const set = (i: number, value: number) => {
      (columns[column + i] as number[])[row] = value;
    };
    const bytes = imageBytes(image);
    if (isPacked(image)) {
      const apart = bytesApart(bytes);
      set(0, nextByte);
      set(1, bytes.length - apart);
      set(2, apart);
      residuals.push(bytes);
      nextByte += bytes.length;
    } else {
      set(0, nextPoint);
      set(1, image.hasNulls ? sentWithNullsCode : sentCode);
      set(2, 0);
      sent.push(bytes);
      nextPoint += pointCount;
    }
  };
  for (const [i, { image }] of rows.entries()) {
    place(i, 0, image.timestamps, image.pointCount);
    place(i, placeColumns.length / series.length, image.values, image.pointCount);
  }
  return [...columns.map(encodeFloat8Array), joinElements(sent), Buffer.concat(residuals)];
}
