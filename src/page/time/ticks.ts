import type { TimeStyle } from '../url-state.ts';
import { clockText, dateText, formatSince } from './format.ts';

export interface Tick {
  /** Unix ms. */
  ms: number;
  label: string;
  /** The date, if it differs from that of the tick before. */
  below: string;
}

const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];
const year = 365.25 * day;
/** Steps below a day, in ms. Each divides the next larger unit. */
const clockSteps = [
  ...[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5],
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((n) => n * second),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * minute),
  ...[1, 2, 3, 6, 12].map((n) => n * hour),
];
/** Steps of whole days, months and years: [years, months, days]. */
const calendarSteps: [number, number, number][] = [
  ...[1, 2, 4, 8].map((days): [number, number, number] => [0, 0, days]),
  ...[1, 3, 6].map((months): [number, number, number] => [0, months, 0]),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000].map((years): [number, number, number] => [years, 0, 0]),
];

/**
 * Round times within a window, about `countMax` at most.
 * @param style local time, UTC, or since `startMs`
 */
export function ticksOf(fromMs: number, toMs: number, countMax: number, style: TimeStyle, startMs: number): Tick[] {
  const wanted = (toMs - fromMs) / Math.max(1, countMax);
  if (!(wanted > 0)) return [];
  if (style === 'since') return sinceTicks(fromMs, toMs, wanted, startMs);
  const step = clockSteps.find((one) => one >= wanted);
  if (step !== undefined) return clockTicks(fromMs, toMs, step, style);
  const calendar = calendarSteps.find(([y, m, d]) => y * year + (m * year) / 12 + d * day >= wanted);
  return calendarTicks(fromMs, toMs, calendar ?? [10_000, 0, 0], style);
}

function sinceTicks(fromMs: number, toMs: number, wanted: number, startMs: number): Tick[] {
  const step = clockSteps.find((one) => one >= wanted) ?? day * roundUp(wanted / day);
  const ticks: Tick[] = [];
  for (let i = Math.ceil((fromMs - startMs) / step); i * step <= toMs - startMs; i++) {
    ticks.push({ ms: startMs + i * step, label: i === 0 ? '0' : formatSince(i * step), below: '' });
  }
  return ticks;
}

/** 1, 2 or 5 times a power of ten. */
function roundUp(number: number): number {
  const power = 10 ** Math.floor(Math.log10(number));
  return power * ([1, 2, 5, 10].find((n) => n * power >= number) as number);
}

function clockTicks(fromMs: number, toMs: number, step: number, style: TimeStyle): Tick[] {
  // Steps of hours must be round on the clock that is shown.
  const offset = style === 'utc' ? 0 : new Date(fromMs).getTimezoneOffset() * minute;
  const ticks: Tick[] = [];
  let before = '';
  for (let i = Math.ceil((fromMs - offset) / step); i * step + offset <= toMs; i++) {
    const ms = i * step + offset;
    const date = new Date(ms);
    const [clock, today] = [clockText(date, style, step < minute), dateText(date, style)];
    const label = step < second ? `${clock}${fraction(ms, step)}` : clock;
    ticks.push({ ms, label, below: today === before ? '' : today });
    before = today;
  }
  return ticks;
}

/** The part of a second, with as many digits as the steps have. */
function fraction(ms: number, step: number): string {
  const part = (((ms % second) + second) % second) / second;
  return part.toFixed(step < 1 ? 6 : 3).slice(1);
}

function calendarTicks(fromMs: number, toMs: number, step: [number, number, number], style: TimeStyle): Tick[] {
  const ticks: Tick[] = [];
  const dates = calendarDates(fromMs, toMs, step, style);
  const [years] = step;
  let before = '';
  for (const ms of dates) {
    const text = dateText(new Date(ms), style);
    const thisYear = text.slice(0, -6);
    if (years > 0) ticks.push({ ms, label: thisYear, below: '' });
    else ticks.push({ ms, label: text.slice(-5), below: thisYear === before ? '' : thisYear });
    before = thisYear;
  }
  return ticks;
}

function* calendarDates(
  fromMs: number,
  toMs: number,
  [years, months, days]: [number, number, number],
  style: TimeStyle,
) {
  const at = (y: number, m: number, d: number) => {
    // The constructor takes years below 100 for 19xx, so the year is set afterwards.
    const date = style === 'utc' ? new Date(Date.UTC(2_000, m, d)) : new Date(2_000, m, d);
    if (style === 'utc') date.setUTCFullYear(y + date.getUTCFullYear() - 2_000);
    else date.setFullYear(y + date.getFullYear() - 2_000);
    return date.getTime();
  };
  const first = new Date(fromMs);
  let y = style === 'utc' ? first.getUTCFullYear() : first.getFullYear();
  let m = style === 'utc' ? first.getUTCMonth() : first.getMonth();
  if (years > 0) [y, m] = [Math.floor(y / years) * years, 0];
  else if (months > 0) m = Math.floor(m / months) * months;
  for (;;) {
    // Days are counted from the first of each month. The last ones are left out, as they are too near to the next month.
    for (let d = 1; d <= (days > 0 ? 31 - days : 1) || d === 1; d += days || 31) {
      const ms = at(y, m, d);
      if (ms > toMs) return;
      if (ms >= fromMs) yield ms;
    }
    if (years > 0) y += years;
    else m += months || 1;
    if (m > 11) [y, m] = [y + Math.floor(m / 12), m % 12];
  }
}
