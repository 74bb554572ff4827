/** Unix seconds that a time is expected to lie between, both included. */
export interface PlausibleTimes {
  plausibleSecondsMin: number;
  plausibleSecondsMax: number;
}

/** Units in which clocks count since 1970 where seconds were asked for. */
export const finerUnits = { ms: 1e3, us: 1e6, ns: 1e9 } as const;
export type FinerUnit = keyof typeof finerUnits;

export const unitWords: Readonly<Record<FinerUnit, string>> = {
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
};

export const isPlausible = (seconds: number, { plausibleSecondsMin, plausibleSecondsMax }: PlausibleTimes): boolean =>
  seconds >= plausibleSecondsMin && seconds <= plausibleSecondsMax;

/**
 * The unit in which a number would be a plausible time since 1970, where it is none in seconds. The ranges of the units are far
 * apart, so at most one fits.
 * @returns undefined for plausible seconds, and for what fits no unit: relative times, days, other epochs
 */
export function finerUnitOf(time: number, range: PlausibleTimes): FinerUnit | undefined {
  if (isPlausible(time, range)) return undefined;
  for (const [unit, perSecond] of Object.entries(finerUnits)) {
    if (isPlausible(time / perSecond, range)) return unit as FinerUnit;
  }
  return undefined;
}
