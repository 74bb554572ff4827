const unitSeconds: Record<string, number> = { m: 60, h: 3_600, d: 86_400, w: 604_800 };
const unitMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Seconds of `30m`, `24h`, `90d` or `12w`; undefined for any other text. */
export function durationSeconds(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,9})([mhdw])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(amount) * (unitSeconds[unit] as number);
}

/** The texts that `durationMs` reads: `250ms`, `1s`, `5m`, `2h`, `1d`. Zero (`0s`) is not among them. */
export const durationMsPattern = '^0{0,6}[1-9][0-9]{0,8}(ms|s|m|h|d)$';

/** Milliseconds of `250ms`, `1s`, `5m`, `2h` or `1d`; undefined for zero (`0s`) and any other text. */
export function durationMs(text: string): number | undefined {
  const [, unit] = new RegExp(durationMsPattern).exec(text) ?? [];
  return unit === undefined ? undefined : Number.parseInt(text, 10) * (unitMs[unit] as number);
}
