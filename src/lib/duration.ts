const unitSeconds: Record<string, number> = { m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** Seconds of `30m`, `24h`, `90d` or `12w`; undefined for any other text. */
export function durationSeconds(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,9})([mhdw])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(amount) * (unitSeconds[unit] as number);
}
