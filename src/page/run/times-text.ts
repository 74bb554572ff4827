const otherUnits: Record<string, string> = {
  times_in_ms: 'milliseconds',
  times_in_us: 'microseconds',
  times_in_ns: 'nanoseconds',
};

/** Why readings are not where they are looked for; undefined where all times are plausible Unix seconds. */
export function timesText({ irregular }: { irregular: readonly { irregularities: string[] }[] }): string | undefined {
  const kinds = new Set(irregular.flatMap(({ irregularities }) => irregularities));
  const unit = Object.keys(otherUnits).find((kind) => kinds.has(kind));
  if (unit !== undefined) {
    return `Some times look like ${otherUnits[unit]}. They are taken for Unix seconds, so their readings are far from here.`;
  }
  if (!kinds.has('implausible_times')) return undefined;
  return 'Some times are no plausible Unix seconds, so their readings may be far from here: a clock that was not set, or times since a start.';
}
