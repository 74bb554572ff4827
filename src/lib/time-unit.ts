/** The range in which a time is plausible, in Unix seconds, both ends included. */
export interface PlausibleTimes {
  plausibleSecondsMin: number;
  plausibleSecondsMax: number;
}

/** Units that clients send by mistake where seconds since 1970 are expected, each with its count per second. */
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
 * Guesses the unit of a time that is not plausible in seconds: the unit in which it would be a plausible time since
 * 1970. The ranges of the units are far apart, so at most one fits.
 * @returns undefined for plausible seconds, and for numbers that fit no unit: relative times, days, other epochs
 */
export function finerUnitOf(time: number, range: PlausibleTimes): FinerUnit | undefined {
  if (isPlausible(time, range)) return undefined;
  for (const [unit, perSecond] of Object.entries(finerUnits)) {
    if (isPlausible(time / perSecond, range)) return unit as FinerUnit;
  }
  return undefined;
}
