const dateTimePattern =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?\s*(Z|[+-](?:0\d|1[0-5]):?[0-5]\d)?$/i;

/**
 * Reads a date-time in the forms that clients of the API write: ISO 8601, or Python's `str(datetime)` with a space. A
 * date-time without an offset is in UTC. A date alone means its midnight.
 * @returns text that PostgreSQL reads as timestamptz without losing digits; undefined for a text that is no date-time
 */
export function parseDateTime(text: string): string | undefined {
  const match = dateTimePattern.exec(text.trim());
  if (match === null) return undefined;
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = 'Z'] = match;
  const utc = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  // JavaScript has a year 0, PostgreSQL has none. The pattern ends offsets at 15:59, as PostgreSQL does.
  if (year === '0000') return undefined;
  const exists = new Date(`${utc}Z`);
  if (Number.isNaN(exists.getTime()) || !exists.toISOString().startsWith(utc)) return undefined;
  return `${utc}${fraction}${zone.toUpperCase()}`;
}

/**
 * A date-time in Unix milliseconds, rounded to the nearest. `Date.parse` alone would cut the digits after the third,
 * and it cannot read an offset without a colon.
 * @param dateTime what `parseDateTime` returned
 */
export function msOfDateTime(dateTime: string): number {
  const [, whole, fraction = '', zone = 'Z'] = /^(.{19})(\.\d+)?(.*)$/.exec(dateTime) as RegExpExecArray;
  return Date.parse(`${whole}${zone.replace(/(\d\d):?(\d\d)$/, '$1:$2')}`) + Math.round(Number(`0${fraction}`) * 1_000);
}

/** ISO 8601 text with six decimals. @param micros a timestamptz in PostgreSQL's binary form: µs since 2000 */
export function isoOfMicros(micros: number): string {
  const ms = Math.floor(micros / 1_000);
  const digits = String(micros - ms * 1_000).padStart(3, '0');
  return new Date(msOf2000 + ms).toISOString().replace('Z', `${digits}Z`);
}

const msOf2000 = Date.UTC(2000, 0, 1);
