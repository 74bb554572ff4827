import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The format of a request: that of our two chunk routes, and the import formats of the other databases. */
export type Format = 'chunk' | 'multi' | 'victoria' | 'influx';

/** The parts from which the requests of a load are made. */
export interface Payload {
  format: Format;
  /** Points for each channel of a request; they cover 100 s. */
  points: number;
  /** Channels of one request; more than one for `multi` and `victoria` only. */
  channels: number;
  streams: readonly string[];
  variants: readonly Variant[];
  /** True for variants of `makeMix`: each channel has readings of one kind, and values are complete. */
  isMix: boolean;
}

/** Random readings. A request adds the leading digits of the timestamps and, except in a mix, the trailing digits of the values. */
export interface Variant {
  /** The last digits of the timestamps, from 0 to 100 s, ascending: `07.123456`. */
  suffixes: string[];
  /** Values without their last six digits, which a request adds: `231.804`. In a mix they are complete. */
  values: string[];
}

/** The kinds of channels in a mix. */
export const mixKinds = 16;

/** What all timestamps of the first chunk of a stream begin with: 2024-01-01 in units of 100 s. */
export const firstPeriod = 17_040_672;
const periodSeconds = 100;

/** Makes variants. Every stream gets the same number of them, so that each belongs to one stream only. */
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

/**
 * Makes readings as labs send them. Times come from a clock with 1 ms of jitter, with all digits of their float64. Of
 * sixteen channels two have float32 values, one has values with all digits, the others have three decimals. All drift
 * slowly and are noisy. Variant `i` belongs to channel `i % mixKinds`.
 */
export function makeMix(points: number, valuesAtLeast: number): Variant[] {
  const perKind = Math.max(2, Math.ceil(valuesAtLeast / points / mixKinds));
  return Array.from({ length: perKind * mixKinds }, (_, i) => {
    const write = writeValue(i % mixKinds);
    const level = 100 + Math.random() * 400;
    const turns = Math.random() * 3;
    return {
      suffixes: Array.from({ length: points }, (_, k) => {
        const seconds = ((k + 0.5) * periodSeconds) / points + normal() * 0.001;
        return seconds.toFixed(7).padStart(10, '0');
      }),
      values: Array.from({ length: points }, (_, k) => {
        return write(level + 5 * Math.sin((turns * 2 * Math.PI * k) / points) + normal() * 0.2);
      }),
    };
  });
}

function writeValue(kind: number): (value: number) => string {
  if (kind === mixKinds - 1) return String;
  return kind % 8 === 6 ? (value) => String(Math.fround(value)) : (value) => String(Number(value.toFixed(3)));
}

const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

/** Writes variants for load/chunks.lua. @returns the path */
export function writeVariants(folder: string, variants: readonly Variant[]): string {
  const path = join(folder, 'variants.txt');
  const lines = variants.map(({ suffixes, values }) => `${suffixes.join(' ')}|${values.join(' ')}\n`);
  writeFileSync(path, lines.join(''));
  return path;
}

/** The body of request number `n`; load/chunks.lua writes the same bytes. */
export function bodyOf(payload: Payload, n: number): string {
  const { format, streams, variants, channels, isMix } = payload;
  const streamNumber = n % streams.length;
  const stream = streams[streamNumber] as string;
  const chunkIndex = Math.floor(n / streams.length);
  const period = String(firstPeriod + chunkIndex);
  const tail = isMix ? '' : String(n % 1_000_000).padStart(6, '0');
  const variantOf = (channel: number) => {
    const number = isMix ? n * mixKinds + ((streamNumber * channels + channel) % mixKinds) : n * channels + channel;
    return variants[number % variants.length] as Variant;
  };
  if (format === 'influx') return influxLines(variantOf(0), stream, period, tail);
  if (format === 'victoria') {
    const lines = Array.from({ length: channels }, (_, channel) => {
      const label = channels > 1 ? `,"channel":"channel-${channel}"` : '';
      const metric = `{"__name__":"thickness","data_id":"${stream}"${label}}`;
      return `{"metric":${metric},${readings(variantOf(channel), period, tail, asMilliseconds)}}\n`;
    });
    return lines.join('');
  }
  const address = `{"data_id":"${stream}","chunk_index":${chunkIndex}`;
  if (format === 'chunk') {
    return `${address},"channel_name":"thickness",${readings(variantOf(0), period, tail, asSeconds)},"units":"nm"}`;
  }
  const parts = Array.from({ length: channels }, (_, channel) => {
    return `"channel-${channel}":{${readings(variantOf(channel), period, tail, asSeconds)},"units":"nm"}`;
  });
  return `${address},"channels":{${parts.join(',')}}}`;
}

const asSeconds = (suffix: string) => suffix;
const asMicroseconds = (suffix: string) => suffix.replace('.', '').slice(0, 8);
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
