/*
 * Parameters for long arrays. What pg writes by itself passes each element through two regular expressions: 10,000 rows with
 * four such columns held up the event loop for 50 ms.
 */

/** An array of UUIDs or numbers, for a parameter such as `$1::uuid[]`. */
export function plainArray(values: readonly (string | number)[]): string {
  return `{${values.join(',')}}`;
}

/** An array of any text, for `$1::text[]`. */
export function textArray(values: readonly (string | null)[]): string {
  return `{${values.map(textElement).join(',')}}`;
}

const textElement = (value: string | null) =>
  value === null ? 'NULL' : `"${/["\\]/.test(value) ? value.replace(/["\\]/g, '\\$&') : value}"`;
