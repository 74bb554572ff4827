/*
 * Parameters for long arrays. pg itself passes each element through two regular expressions. In a profile of chunks of
 * 10,000 channels that is one of the things that block the event loop.
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
