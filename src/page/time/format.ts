import type { TimeStyle } from '../url-state.ts';

const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];

/**
 * A time as text: `2026-01-31 08:00:00.125`, followed by ` UTC` if it is in UTC; or the time since the start.
 * @param ms Unix ms
 * @param startMs where the run begins
 */
export function formatTime(ms: number, style: TimeStyle, startMs: number): string {
  if (style === 'since') return formatSince(ms - startMs);
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return 'no time';
  const fraction = ((ms % second) + second) % second;
  const text = `${dateText(date, style)} ${clockText(date, style)}${fraction === 0 ? '' : fractionText(fraction)}`;
  return style === 'utc' ? `${text} UTC` : text;
}

/** Time since the start: `+1:02:03.5`, `+2 d 03:00:00`. */
export function formatSince(ms: number): string {
  const sign = ms < 0 ? '−' : '+';
  const rounded = Math.round(Math.abs(ms) * 1_000) / 1_000;
  const days = Math.floor(rounded / day);
  const rest = rounded % day;
  const [hours, minutes, seconds] = [
    Math.floor(rest / hour),
    Math.floor((rest % hour) / minute),
    Math.floor((rest % minute) / second),
  ];
  const fraction = fractionText(rest % second);
  const clock = `${two(minutes)}:${two(seconds)}${fraction}`;
  if (days > 0) return `${sign}${days} d ${two(hours)}:${clock}`;
  return hours > 0 ? `${sign}${hours}:${clock}` : `${sign}${minutes}:${two(seconds)}${fraction}`;
}

/** How long something took: `2 d 3 h`, `1 h 5 min`, `42 s`, `5 ms`. */
export function formatDuration(ms: number): string {
  if (ms < 1) return ms === 0 ? '0 s' : `${Number(ms.toPrecision(2))} ms`;
  if (ms < second) return `${Math.round(ms)} ms`;
  if (ms < minute) return `${Number((ms / second).toFixed(ms < 10 * second ? 1 : 0))} s`;
  if (ms < hour) return pair(ms, minute, 'min', second, 's');
  if (ms < 2 * day) return pair(ms, hour, 'h', minute, 'min');
  if (ms < 730 * day) return pair(ms, day, 'd', hour, 'h');
  return `${(ms / (365.25 * day)).toFixed(1)} years`;
}

/** How long ago, as one number with its unit, for a text that is updated every second. */
export function formatAge(ms: number): string {
  if (ms < 1.5 * second) return 'now';
  if (ms < minute) return `${Math.round(ms / second)} s ago`;
  if (ms < hour) return `${Math.floor(ms / minute)} min ago`;
  if (ms < 2 * day) return `${Math.floor(ms / hour)} h ago`;
  return `${Math.floor(ms / day)} d ago`;
}

function pair(ms: number, unit: number, name: string, part: number, partName: string): string {
  const parts = Math.round(ms / part);
  const [whole, rest] = [Math.floor((parts * part) / unit), Math.round(((parts * part) % unit) / part)];
  return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${partName}`;
}

export const two = (number: number): string => String(number).padStart(2, '0');

/** The fraction of a second: `.125` for 125 ms, with six digits if it has microseconds. */
function fractionText(ms: number): string {
  const micros = Math.round(ms * 1_000);
  if (micros === 0) return '';
  return `.${micros % 1_000 === 0 ? String(micros / 1_000).padStart(3, '0') : String(micros).padStart(6, '0')}`;
}

export function dateText(date: Date, style: TimeStyle): string {
  const [y, m, d] =
    style === 'utc'
      ? [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
      : [date.getFullYear(), date.getMonth(), date.getDate()];
  return `${y}-${two(m + 1)}-${two(d)}`;
}

export function clockText(date: Date, style: TimeStyle, withSeconds = true): string {
  const [h, m, s] =
    style === 'utc'
      ? [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
      : [date.getHours(), date.getMinutes(), date.getSeconds()];
  return `${two(h)}:${two(m)}${withSeconds ? `:${two(s)}` : ''}`;
}
