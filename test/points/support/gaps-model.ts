/*
 * Which chunks are missing in a window, by docs/reading.md, in plain lists and without any of the server's code.
 */

/** A chunk, and what of it has times; without any its span is infinite. */
interface TimedChunk {
  index: number;
  points: { seconds: number }[];
  firstMs: number;
  lastMs: number;
}

export interface ModelGap {
  fromChunk: number;
  toChunk: number;
  endMs: number | null;
  beginMs: number | null;
  /** Its points were between these, both not included. */
  lowMs: number;
  highMs: number;
}

/** The gaps beside the chunks that reach into a window, as far as they touch it; else above the last that began before it. */
export function gapsOf(chunks: TimedChunk[], window: { fromMs: number; toMs: number }): ModelGap[] {
  const timed = chunks.filter(({ points }) => points.length > 0);
  const beginOf = ({ points }: TimedChunk) => Math.min(...points.map(({ seconds }) => seconds));
  const reaching = timed.filter((one) => one.lastMs >= window.fromMs && one.firstMs <= window.toMs);
  const earlier = timed.filter((one) => beginOf(one) < window.fromMs / 1_000).sort((a, b) => beginOf(b) - beginOf(a));
  const isBeside = (from: number, to: number) =>
    reaching.length === 0
      ? earlier[0]?.index === from - 1
      : reaching.some(({ index }) => index === from - 1 || index === to + 1);
  const indexes = [-1, ...chunks.map(({ index }) => index)];
  return indexes.slice(1).flatMap((next, i) => {
    const [from, to] = [(indexes[i] as number) + 1, next - 1];
    if (from > to || !isBeside(from, to) || !isMissing(indexes.slice(1), from, to)) return [];
    const gap = gapBetween(
      timed.findLast(({ index }) => index < from),
      timed.find(({ index }) => index > to),
    );
    return gap.lowMs < window.toMs && gap.highMs > window.fromMs ? [{ fromChunk: from, toChunk: to, ...gap }] : [];
  });
}

function gapBetween(before: TimedChunk | undefined, after: TimedChunk | undefined) {
  const isReversed = before !== undefined && after !== undefined && after.lastMs < before.firstMs;
  const [endMs, beginMs] = isReversed ? [after.lastMs, before.firstMs] : [before?.lastMs, after?.firstMs];
  const [lowMs, highMs] = [endMs ?? Number.NEGATIVE_INFINITY, beginMs ?? Number.POSITIVE_INFINITY];
  const isShared = lowMs >= highMs;
  return {
    endMs: endMs ?? null,
    beginMs: beginMs ?? null,
    lowMs: isShared ? highMs - 1 : lowMs,
    highMs: isShared ? lowMs + 1 : highMs,
  };
}

/** By the four steps of the index before a hole and the four after it, if they are three at least. */
function isMissing(indexes: number[], from: number, to: number): boolean {
  const stepsOf = (some: number[]) => some.slice(1).map((index, i) => index - (some[i] as number));
  const before = indexes.filter((index) => index < from).slice(-5);
  const after = indexes.filter((index) => index > to).slice(0, 5);
  const beside = [...stepsOf(before), ...stepsOf(after)];
  const usual = beside.find((one) => beside.filter((other) => other === one).length > beside.length / 2);
  return beside.length < 3 || (usual !== undefined && to - from + 2 > usual);
}
