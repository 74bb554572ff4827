import { useEffect, useRef } from 'preact/hooks';
import { formatTime } from '../time/format.ts';
import { ticksOf } from '../time/ticks.ts';
import type { TimeStyle } from '../url-state.ts';
import type { Board } from './board.ts';
import { leftPixels, rightPixels } from './chart.ts';
import type { Colors } from './colors.ts';
import type { Range } from './window.ts';

/** Width of a label with the space beside it. */
const tickPixels = 110;
const heightPixels = 40;
const edgePixels = 12;

interface TimeAxisProps {
  board: Board;
  width: number;
  rightAxes: number;
  colors: Colors;
  style: TimeStyle;
  startMs: number;
}

export const tickCount = (width: number, rightAxes: number) =>
  Math.max(2, Math.floor((width - leftPixels - rightAxes * rightPixels) / tickPixels));

/** The time axis below all plots. It also shows the time at the cursor. */
export function TimeAxis(props: TimeAxisProps) {
  const place = useRef<HTMLCanvasElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const { board, width } = props;
  useEffect(() => {
    let cursor: number | null = null;
    let range = board.range();
    const draw = () => place.current !== null && drawAxis(place.current, latest.current, range, cursor);
    return board.add({
      traces: [],
      draw(next) {
        range = next;
        draw();
      },
      point(ms) {
        cursor = ms;
        draw();
      },
    });
  }, [board]);
  useEffect(() => board.redraw());
  return (
    <canvas
      class="time-axis"
      ref={place}
      style={{ width: `${width}px`, height: `${heightPixels}px` }}
      role="img"
      aria-label="Times of all plots"
    />
  );
}

function drawAxis(canvas: HTMLCanvasElement, props: TimeAxisProps, range: Range, cursorMs: number | null): void {
  const { width, rightAxes, colors, style, startMs } = props;
  const pen = canvas.getContext('2d');
  if (pen === null || width === 0) return;
  canvas.width = width * devicePixelRatio;
  canvas.height = heightPixels * devicePixelRatio;
  pen.scale(devicePixelRatio, devicePixelRatio);
  pen.font = '12px system-ui, sans-serif';
  pen.textAlign = 'center';
  pen.fillStyle = colors.axis;
  pen.strokeStyle = colors.grid;
  const right = width - edgePixels - rightAxes * rightPixels;
  const xOf = (ms: number) => leftPixels + ((ms - range.fromMs) / (range.toMs - range.fromMs)) * (right - leftPixels);
  for (const { ms, label, below } of ticksOf(range.fromMs, range.toMs, tickCount(width, rightAxes), style, startMs)) {
    const x = xOf(ms);
    pen.fillRect(x, 0, 1, 4);
    const half = pen.measureText(label).width / 2;
    pen.fillText(label, Math.min(Math.max(x, half + 2), width - half - 2), 17);
    if (below !== '') pen.fillText(below, Math.min(Math.max(x, 36), width - 36), 33);
  }
  if (cursorMs === null) return;
  const text = formatTime(cursorMs, style, startMs);
  const half = pen.measureText(text).width / 2 + 6;
  const x = Math.min(Math.max(xOf(cursorMs), half), width - half);
  pen.fillRect(x - half, 2, half * 2, 20);
  pen.fillStyle = colors.background;
  pen.fillText(text, x, 16);
}
