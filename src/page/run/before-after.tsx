import { useEffect, useMemo } from 'preact/hooks';
import type { Content } from '../api/ledger.ts';
import { useTheme, useWidth } from '../lib/hooks.ts';
import { plural } from '../lib/numbers.ts';
import { createChart } from '../plot/chart.ts';
import { readColors } from '../plot/colors.ts';
import { formatTime } from '../time/format.ts';
import { ticksOf } from '../time/ticks.ts';
import type { TimeStyle } from '../url-state.ts';

/** Draws two contents of a chunk in one plot: before and after a replacement. */
export function BeforeAfter(props: {
  before: Content;
  after: Content;
  afterName: string;
  times: TimeStyle;
  startMs: number;
}) {
  const { before, after, afterName, times, startMs } = props;
  const { place, width } = useWidth<HTMLDivElement>();
  const theme = useTheme();
  const colors = useMemo(readColors, [theme]);
  const lines = useMemo(() => [pointsOf(before), pointsOf(after)], [before, after]);
  const all = lines.flatMap((line) => line.times);
  const range = { fromMs: Math.min(...all), toMs: Math.max(...all, Math.min(...all) + 1) };
  const [color0, color1] = [colors.lines[1] as string, colors.lines[0] as string];
  useEffect(() => {
    if (place.current === null || width === 0 || all.length === 0) return;
    const chart = createChart({
      ...{ place: place.current, isLog: false, width, height: 200, rightAxes: 0, colors },
      lines: [
        { units: null, color: color0 },
        { units: null, color: color1 },
      ],
      ticks: ({ fromMs, toMs }) => ticksOf(fromMs, toMs, 6, times, startMs).map(({ ms }) => ms),
      onZoom: () => {},
      onCursor: () => {},
    });
    chart.draw(lines, range);
    return () => chart.destroy();
  }, [lines, width, colors]);
  const same = before.values.filter(
    (value, i) => Object.is(value, after.values[i]) && Object.is(before.timestamps[i], after.timestamps[i]),
  ).length;
  return (
    <section>
      <p>
        <span class="swatch" style={{ background: color0 }} /> before: {plural(before.values.length, 'point')}{' '}
        <span class="swatch" style={{ background: color1 }} /> {afterName}: {plural(after.values.length, 'point')}.{' '}
        {same} are the same.
      </p>
      <div ref={place} class="plot" role="img" aria-label="What the chunk held before and after" />
      {all.length > 0 && (
        <p class="quiet-text">
          {formatTime(range.fromMs, times, startMs)} to {formatTime(range.toMs, times, startMs)}
        </p>
      )}
    </section>
  );
}

/** The points that have a time, sorted by it. */
function pointsOf({ timestamps, values }: Content) {
  const points = timestamps
    .map((time, i) => ({ ms: time === null ? Number.NaN : time * 1_000, value: values[i] ?? null }))
    .filter(({ ms }) => Number.isFinite(ms))
    .sort((a, b) => a.ms - b.ms);
  return { times: points.map(({ ms }) => ms), values: points.map(({ value }) => value), gaps: [], marks: [] };
}
