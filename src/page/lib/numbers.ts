/** A reading with up to six significant digits, with an exponent where it would be long. */
export function formatReading(value: number | null | undefined): string {
  if (value === undefined) return '–';
  if (value === null) return 'absent';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4)
    return minus(
      value
        .toExponential(4)
        .replace(/\.?0+e/, 'e')
        .replace('e+', 'e'),
    );
  return minus(String(Number(value.toPrecision(6))));
}

/** Labels of an axis. All have as many decimals as the step between them needs. */
export function axisLabels(splits: readonly (number | null)[], step: number): string[] {
  const largest = Math.max(...splits.map((split) => Math.abs(split ?? 0)));
  const isLong = largest >= 1e6 || (largest > 0 && largest < 1e-3);
  const digits = digitsOf(step);
  const label = (split: number) => {
    if (!isLong) return split.toFixed(Math.min(Math.max(0, digits), 12));
    if (split === 0) return '0';
    const shown = Math.max(0, Math.floor(Math.log10(Math.abs(split))) + digits);
    return split.toExponential(Math.min(shown, 8)).replace('e+', 'e');
  };
  return splits.map((split) => (split === null ? '' : minus(label(split))));
}

/** Decimals that a step needs: 1 for 2.5, negative for multiples of ten. */
function digitsOf(step: number): number {
  let digits = Math.ceil(-Math.log10(step) - 1e-9);
  const isWhole = () => Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) < 1e-6;
  for (let more = 0; more < 3 && !isWhole(); more++) digits++;
  return digits;
}

/** Labels of a logarithmic axis: only powers of ten have one. */
export function logLabels(splits: readonly (number | null)[]): string[] {
  return splits.map((split) => {
    if (split === null) return '';
    const power = Math.log10(split);
    if (Math.abs(power - Math.round(power)) > 1e-9) return '';
    return Math.abs(power) < 4 ? String(Number(split.toPrecision(3))) : `1e${Math.round(power)}`;
  });
}

export const formatCount = (count: number): string => count.toLocaleString('en').replaceAll(',', '\u202f');

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${formatCount(count)} ${count === 1 ? one : many}`;

const minus = (text: string) => text.replace('-', '−').replace('e-', 'e−');
