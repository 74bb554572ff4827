import { useEffect, useRef } from 'preact/hooks';
import type { ChunkRange, LedgerChannel } from '../api/ledger.ts';
import { useOnScreen } from '../lib/hooks.ts';
import { plural } from '../lib/numbers.ts';
import { leftPixels } from '../plot/chart.ts';
import type { Colors } from '../plot/colors.ts';
import { hatchOf } from '../plot/colors.ts';

const heightPixels = 10;
/** The least width of a range, so that one chunk among a hundred thousand is still visible. */
const pixelsMin = 2;

/** The chunks of a channel from 0 to the highest one as a bar, hatched where chunks are missing. */
export function LedgerStrip(props: { ledger: LedgerChannel; width: number; colors: Colors; onOpen: () => void }) {
  const { ledger, width, colors, onOpen } = props;
  const { place: button, isOnScreen } = useOnScreen<HTMLButtonElement>();
  const place = useRef<HTMLCanvasElement>(null);
  const barWidth = Math.max(0, width - leftPixels - 12);
  useEffect(() => {
    if (isOnScreen && place.current !== null && barWidth > 0) drawStrip(place.current, ledger, barWidth, colors);
  }, [ledger, barWidth, colors, isOnScreen]);
  return (
    <button type="button" class="strip" ref={button} onClick={onOpen} title={ledgerText(ledger)}>
      <canvas ref={place} style={{ width: `${barWidth}px`, height: `${heightPixels}px` }} />
      <span class="unseen">
        Chunks of {ledger.channel_name}: {ledgerText(ledger)}
      </span>
    </button>
  );
}

/** A ledger as text. */
export function ledgerText(ledger: LedgerChannel): string {
  const parts = [plural(ledger.chunk_count, 'chunk')];
  parts.push(
    ledger.missing_count === 0 ? 'none missing' : `${ledger.missing_count} missing (${rangesText(ledger.missing)})`,
  );
  if (ledger.replaced_count > 0) parts.push(`${ledger.replaced_count} replaced`);
  const late = (ledger.late ?? []).reduce((sum, { from_chunk, to_chunk }) => sum + to_chunk - from_chunk + 1, 0);
  if (late > 0) parts.push(`${late} after the end`);
  if (ledger.null_count > 0) parts.push(plural(ledger.null_count, 'absent reading'));
  return parts.join(', ');
}

/** Ranges as text: `40–42, 57`. After `countMax` ranges it ends in dots. */
export function rangesText(ranges: readonly ChunkRange[], countMax = 8): string {
  const shown = ranges.slice(0, countMax).map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`));
  return shown.join(', ') + (ranges.length > countMax ? ', …' : '');
}

function drawStrip(canvas: HTMLCanvasElement, ledger: LedgerChannel, width: number, colors: Colors): void {
  const ratio = devicePixelRatio;
  canvas.width = width * ratio;
  canvas.height = heightPixels * ratio;
  const pen = canvas.getContext('2d');
  if (pen === null) return;
  const perChunk = canvas.width / (ledger.highest_chunk_index + 1);
  const fill = (first: number, last: number, style: string | CanvasPattern, top: number, height: number) => {
    pen.fillStyle = style;
    const pixels = (last - first + 1) * perChunk;
    pen.fillRect(first * perChunk, top * ratio, Math.max(pixels, pixelsMin * ratio), height * ratio);
  };
  fill(0, ledger.highest_chunk_index, colors.present, 0, heightPixels);
  if (ledger.missing.length > 0) {
    const hatch = hatchOf(pen, colors.hatch, ratio / 2);
    for (const [first, last] of ledger.missing) {
      fill(first, last, colors.background, 0, heightPixels);
      fill(first, last, hatch, 0, heightPixels);
    }
  }
  for (const { from_chunk, to_chunk } of ledger.replaced ?? []) fill(from_chunk, to_chunk, colors.replaced, 0, 5);
  for (const { from_chunk, to_chunk } of ledger.late ?? []) fill(from_chunk, to_chunk, colors.late, 5, 5);
}
