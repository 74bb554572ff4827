const dateTimePattern =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?\s*(Z|[+-](?:0\d|1[0-5]):?[0-5]\d)?$/i;

/**
 * Reads a date-time as clients of the API write them: ISO 8601, or Python's `str(datetime)` with a space. Without an
 * offset it is UTC; a date alone is its midnight.
 * @returns text that PostgreSQL reads as timestamptz with all its digits, or undefined for what is no date-time.
 */
export function parseDateTime(text: string): string | undefined {
  const match = dateTimePattern.exec(text.trim());
  if (match === null) return undefined;
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = 'Z'] = match;
  const utc = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  // JavaScript has a year 0; PostgreSQL has none, and its offsets end at 15:59.
  if (year === '0000') return undefined;
  const exists = new Date(`${utc}Z`);
  if (Number.isNaN(exists.getTime()) || !exists.toISOString().startsWith(utc)) return undefined;
  return `${utc}${fraction}${zone.toUpperCase()}`;
}

/**
 * The ms of a date-time, to the nearest; `Date.parse` would cut the digits after the third, and reads no offset without a colon.
 * @param dateTime what `parseDateTime` returned
 */
export function msOfDateTime(dateTime: string): number {
  const [, whole, fraction = '', zone = 'Z'] = /^(.{19})(\.\d+)?(.*)$/.exec(dateTime) as RegExpExecArray;
  return Date.parse(`${whole}${zone.replace(/(\d\d):?(\d\d)$/, '$1:$2')}`) + Math.round(Number(`0${fraction}`) * 1_000);
}

/** A time that PostgreSQL gives in binary, µs since 2000, as ISO 8601 text with all its digits. */
export function isoOfMicros(micros: number): string {
  const ms = Math.floor(micros / 1_000);
  const digits = String(micros - ms * 1_000).padStart(3, '0');
  return new Date(msOf2000 + ms).toISOString().replace('Z', `${digits}Z`);
}

const msOf2000 = Date.UTC(2000, 0, 1);
