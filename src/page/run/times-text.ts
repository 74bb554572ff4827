const otherUnits: Record<string, string> = {
  times_in_ms: 'milliseconds',
  times_in_us: 'microseconds',
  times_in_ns: 'nanoseconds',
};

/** Explains why readings are at unexpected times; undefined when all times are plausible Unix seconds. */
export function timesText({ irregular }: { irregular: readonly { irregularities: string[] }[] }): string | undefined {
  const kinds = new Set(irregular.flatMap(({ irregularities }) => irregularities));
  const unit = Object.keys(otherUnits).find((kind) => kinds.has(kind));
  if (unit !== undefined) {
    return `Some times look like ${otherUnits[unit]}. They are taken for Unix seconds, so their readings lie far from the others.`;
  }
  if (!kinds.has('implausible_times')) return undefined;
  return 'Some times are no plausible Unix seconds, so their readings may lie far from the others. A clock may not have been set, or times count from a start.';
}
