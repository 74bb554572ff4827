import { readFile } from 'node:fs/promises';

/** The build copies it from vega-datasets. Seen from `src` and from `dist` this is the same file. */
const file = new URL('../../dist/assets/seattle-weather-hourly-normals.csv', import.meta.url);

const unitOf: Record<string, string> = { pressure: 'hPa', temperature: '°C', wind: 'm/s' };

/** A measured record: times in Unix seconds that all channels share, and for each channel one reading per time. */
export interface MeasuredRecord {
  name: string;
  times: number[];
  channels: { name: string; units: string; values: number[] }[];
}

/** A year of Seattle's weather, hour by hour. @throws where the program was not built by `npm run build`. */
export async function readSeattleWeather(): Promise<MeasuredRecord> {
  const [head = '', ...lines] = (await readFile(file, 'utf8')).trim().split('\n');
  const rows = lines.map((line) => line.trim().split(','));
  const column = (index: number) => rows.map((row) => row[index] as string);
  const [, ...names] = head.trim().split(',');
  return {
    name: 'Seattle 2010',
    // The record has no offset from UTC; the demo takes its hours as UTC.
    times: column(0).map((hour) => Date.parse(`${hour}Z`) / 1_000),
    channels: names.map((name, i) => ({ name, units: unitOf[name] ?? '', values: column(i + 1).map(Number) })),
  };
}
