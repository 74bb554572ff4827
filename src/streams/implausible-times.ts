import type { JsonPath } from '../lib/json-scan.ts';
import { type FinerUnit, finerUnitOf, isPlausible, type PlausibleTimes } from '../lib/time-unit.ts';
import type { ChannelReadings, ChunkImage } from './chunk-image.ts';

/** Timestamps of a request that are no plausible Unix seconds. */
export interface ImplausibleTimes {
  /** Where the first of them is. */
  path: JsonPath;
  /** The unit in which that first one would be plausible; undefined where no unit fits. */
  looksLike: FinerUnit | undefined;
  count: number;
}

/** What is known of the times of an image. */
type Span = Pick<ChunkImage, 'timeMin' | 'timeMax' | 'ascending'>;

/**
 * Looks for timestamps that are not plausible times. For nearly every chunk a few comparisons with its image decide.
 * Only a chunk whose span is out of range, or whose times are absent, impossible or step back, is searched.
 * @param channels the readings of each channel, one for one with the images
 * @param pathOf where the readings of a channel are in the request
 * @returns undefined when there are none
 */
export function findImplausibleTimes(
  channels: readonly ChannelReadings[],
  images: readonly { image: Span }[],
  pathOf: (channel: number) => JsonPath,
  range: PlausibleTimes,
): ImplausibleTimes | undefined {
  let found: ImplausibleTimes | undefined;
  for (let channel = 0; channel < channels.length; channel++) {
    if (isInRange(images[channel]?.image as Span, range)) continue;
    for (const [i, time] of (channels[channel] as ChannelReadings).timestamps.entries()) {
      if (time === null || isPlausible(time, range)) continue;
      found ??= { path: [...pathOf(channel), 'timestamps', i], looksLike: finerUnitOf(time, range), count: 0 };
      found.count++;
    }
  }
  return found;
}

/** Where times ascend, none is absent, and all lie within the span. */
function isInRange({ timeMin, timeMax, ascending }: Span, range: PlausibleTimes): boolean {
  if (!ascending || timeMin === null || timeMax === null) return false;
  return isPlausible(timeMin, range) && isPlausible(timeMax, range);
}
