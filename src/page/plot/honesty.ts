import type uPlot from 'uplot';
import { type Colors, hatchOf } from './colors.ts';
import type { Gap } from './series.ts';

/** Chunks that were replaced, or stored after the stream was finalized; a reader should know that. Times in Unix ms. */
export interface Mark {
  kind: 'replaced' | 'late';
  chunks: number;
  fromMs: number;
  toMs: number;
}

/** The data of a line as it is drawn. */
export interface Drawn {
  times: number[];
  values: (number | null)[];
  gaps: Gap[];
  marks: Mark[];
}

/** The least width of a gap or mark on the screen, so that a lost second in a year is still visible. */
const pixelsMin = 3;
const markPixels = 5;

/** Hatches the ranges where chunks are missing, for each line in its own colour. Called before the lines are drawn. */
export function drawGaps(u: uPlot, lines: readonly Drawn[], hatches: readonly string[]): void {
  const { ctx, bbox } = u;
  ctx.save();
  for (const [i, { gaps, times }] of lines.entries()) {
    if (gaps.length > 0) ctx.fillStyle = hatchOf(ctx, hatches[i] as string, devicePixelRatio);
    for (const { endsMs, beginsMs } of gaps) {
      const fromMs = endsMs ?? u.scales.x?.min ?? 0;
      const toMs = beginsMs ?? times.at(-1) ?? fromMs;
      const place = between(u, Math.min(fromMs, toMs), Math.max(fromMs, toMs));
      if (place !== undefined) ctx.fillRect(place.left, bbox.top, place.width, bbox.height);
    }
  }
  ctx.restore();
}

/** Draws bars along the upper edge: for replaced chunks, and below them for chunks stored after the stream was finalized. */
export function drawMarks(u: uPlot, lines: readonly Drawn[], colors: Colors): void {
  const { ctx, bbox } = u;
  const height = markPixels * devicePixelRatio;
  ctx.save();
  for (const { kind, fromMs, toMs } of lines.flatMap(({ marks }) => marks)) {
    const place = between(u, fromMs, toMs);
    if (place === undefined) continue;
    ctx.fillStyle = kind === 'replaced' ? colors.replaced : colors.late;
    const top = bbox.top + (kind === 'replaced' ? 0 : height + devicePixelRatio);
    ctx.fillRect(place.left, top, place.width, height);
    // Not by colour alone: replaced chunks also have a triangle that points down.
    if (kind === 'replaced') triangle(ctx, place.left + place.width / 2, top + height, height);
  }
  ctx.restore();
}

function triangle(ctx: CanvasRenderingContext2D, x: number, y: number, size: number): void {
  ctx.beginPath();
  ctx.moveTo(x - size, y);
  ctx.lineTo(x + size, y);
  ctx.lineTo(x, y + size);
  ctx.fill();
}

/** The part of the picture between two times, in pixels of the canvas; undefined when it is outside the window. */
function between(u: uPlot, fromMs: number, toMs: number): { left: number; width: number } | undefined {
  const { bbox } = u;
  const at = (ms: number) => u.valToPos(ms, 'x', true);
  const [left, right] = [Math.max(at(fromMs), bbox.left), Math.min(at(toMs), bbox.left + bbox.width)];
  const width = pixelsMin * devicePixelRatio;
  if (right < bbox.left || left > bbox.left + bbox.width) return undefined;
  return right - left < width ? { left: (left + right - width) / 2, width } : { left, width: right - left };
}
