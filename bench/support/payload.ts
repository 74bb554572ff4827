import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How a request is written: our two chunk routes, and the import formats of the other databases. */
export type Format = 'chunk' | 'multi' | 'victoria' | 'influx';

/** What the requests of a load are made of. */
export interface Payload {
  format: Format;
  /** Points of one channel of one request; they cover 100 s. */
  points: number;
  /** Channels of one request; more than one for `multi` only. */
  channels: number;
  streams: readonly string[];
  variants: readonly Variant[];
}

/** Random readings. A request adds the leading digits of its timestamps and the trailing ones of its values. */
export interface Variant {
  /** Seconds within 100 s, ascending: `07.123456`. */
  suffixes: string[];
  /** Readings that lack their last six digits: `231.804`. */
  values: string[];
}

/** What all timestamps of the first chunk of a stream begin with: 2024-01-01 in units of 100 s. */
export const firstPeriod = 17_040_672;
const periodSeconds = 100;

/** Readings for some streams. Every stream gets the same number of variants, so that one belongs to one stream only. */
export function makeVariants(points: number, streamCount: number, valuesAtLeast: number): Variant[] {
  const perStream = Math.max(2, Math.ceil(valuesAtLeast / points / streamCount));
  return Array.from({ length: perStream * streamCount }, () => ({
    suffixes: Array.from({ length: points }, (_, i) => {
      const seconds = ((i + Math.random() * 0.1) * periodSeconds) / points;
      return seconds.toFixed(6).padStart(9, '0');
    }),
    values: Array.from({ length: points }, () => (Math.random() * 600).toFixed(3)),
  }));
}

/** Writes variants for load/chunks.lua. @returns the path */
export function writeVariants(folder: string, variants: readonly Variant[]): string {
  const path = join(folder, 'variants.txt');
  const lines = variants.map(({ suffixes, values }) => `${suffixes.join(' ')}|${values.join(' ')}\n`);
  writeFileSync(path, lines.join(''));
  return path;
}

/** The body of request number `n`; load/chunks.lua writes the same bytes. */
export function bodyOf(payload: Payload, n: number): string {
  const { format, streams, variants, channels } = payload;
  const stream = streams[n % streams.length] as string;
  const chunkIndex = Math.floor(n / streams.length);
  const period = String(firstPeriod + chunkIndex);
  const tail = String(n % 1_000_000).padStart(6, '0');
  const variant = (number: number) => variants[number % variants.length] as Variant;
  if (format === 'influx') return influxLines(variant(n), stream, period, tail);
  if (format === 'victoria') {
    return `{"metric":{"__name__":"thickness","data_id":"${stream}"},${readings(variant(n), period, tail, asMilliseconds)}}\n`;
  }
  const address = `{"data_id":"${stream}","chunk_index":${chunkIndex}`;
  if (format === 'chunk') {
    return `${address},"channel_name":"thickness",${readings(variant(n), period, tail, asSeconds)},"units":"nm"}`;
  }
  const parts = Array.from({ length: channels }, (_, channel) => {
    return `"channel-${channel}":{${readings(variant(n * channels + channel), period, tail, asSeconds)},"units":"nm"}`;
  });
  return `${address},"channels":{${parts.join(',')}}}`;
}

const asSeconds = (suffix: string) => suffix;
const asMicroseconds = (suffix: string) => suffix.replace('.', '');
const asMilliseconds = (suffix: string) => asMicroseconds(suffix).slice(0, 5);

function readings({ suffixes, values }: Variant, period: string, tail: string, write: (suffix: string) => string) {
  const timestamps = suffixes.map((suffix) => period + write(suffix));
  return `"timestamps":[${timestamps.join(',')}],"values":[${values.join(`${tail},`)}${tail}]`;
}

function influxLines({ suffixes, values }: Variant, stream: string, period: string, tail: string): string {
  const lines = suffixes.map((suffix, i) => {
    return `thickness,data_id=${stream} value=${values[i]}${tail} ${period}${asMicroseconds(suffix)}`;
  });
  return lines.join('\n');
}
