import type uPlot from 'uplot';
import { type Colors, hatchOf } from './colors.ts';
import type { Gap } from './series.ts';

/** Chunks of which a reader should know that they did not simply arrive. Unix ms. */
export interface Mark {
  kind: 'replaced' | 'late';
  chunks: number;
  fromMs: number;
  toMs: number;
}

/** What a line shows. */
export interface Drawn {
  times: number[];
  values: (number | null)[];
  gaps: Gap[];
  marks: Mark[];
}

/** What is missing is never narrower on the screen, so that a lost second of a year is seen. */
const pixelsMin = 3;
const markPixels = 5;

/** Hatches where chunks are missing, for each line in its own colour. It is drawn below the lines. */
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

/** Bars along the upper edge: chunks that were replaced, and below them chunks that came after the end. */
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
    // A second sign beside the colour: what was replaced points down into the picture.
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

/** The part of the picture between two times, in pixels of the canvas; undefined where none of it is seen. */
function between(u: uPlot, fromMs: number, toMs: number): { left: number; width: number } | undefined {
  const { bbox } = u;
  const at = (ms: number) => u.valToPos(ms, 'x', true);
  const [left, right] = [Math.max(at(fromMs), bbox.left), Math.min(at(toMs), bbox.left + bbox.width)];
  const width = pixelsMin * devicePixelRatio;
  if (right < bbox.left || left > bbox.left + bbox.width) return undefined;
  return right - left < width ? { left: (left + right - width) / 2, width } : { left, width: right - left };
}
