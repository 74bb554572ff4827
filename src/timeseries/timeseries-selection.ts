import type { Static } from '@sinclair/typebox';
import type { PlausibleTimes } from '../lib/time-unit.ts';
import { type Selection, windowOf } from '../points/selection.ts';
import type { TimeseriesQuery } from './schemas.ts';

/** Which points of which channels a request asks for. */
export interface TimeseriesSelection extends Selection {
  /** Names as the answer gives them; undefined for all channels. */
  property_names?: string[];
}

/** @throws ApiError 422 for a start or end that is no time or is in ms, and for a start after the end */
export function toSelection(
  {
    start,
    end,
    ...selection
  }: Omit<Static<ReturnType<typeof TimeseriesQuery>>, 'available_properties' | 'return_null_if_missing'>,
  plausible: PlausibleTimes,
): TimeseriesSelection {
  return { ...selection, ...windowOf({ start, end }, plausible) };
}
