/** A plain picture of what the reads must answer, in memory and without any of the server's code. */
export interface ModelChunk {
  chunk_index: number;
  timestamps: (number | null)[];
  values: (number | null)[];
}

export interface ModelPoint {
  ms: number;
  value: number | null;
}

/** Points of a channel: one per ms, the last by (time, chunk index, position), in order. */
export function modelPoints(chunks: ModelChunk[]): ModelPoint[] {
  const stored = new Map(chunks.map((chunk) => [chunk.chunk_index, chunk]));
  const all = [...stored.values()].flatMap(({ chunk_index, timestamps, values }) =>
    timestamps.map((time, position) => ({ time, chunk_index, position, value: values[position] as number | null })),
  );
  const possible = all.filter(
    (point): point is typeof point & { time: number } =>
      point.time !== null && Math.abs(Math.round(point.time * 1000)) <= 8.64e15,
  );
  possible.sort((a, b) => a.time - b.time || a.chunk_index - b.chunk_index || a.position - b.position);
  const byMs = new Map<number, number | null>();
  for (const { time, value } of possible) byMs.set(Math.round(time * 1000) + 0, value);
  return [...byMs].map(([ms, value]) => ({ ms, value })).sort((a, b) => a.ms - b.ms);
}

export interface ModelWindow {
  last_n?: number | undefined;
  elapsed_seconds?: number | undefined;
  /** Unix seconds. */
  start?: number | undefined;
  end?: number | undefined;
}

export function modelProperties(
  channels: Map<string, ModelChunk[]>,
  { last_n, elapsed_seconds, start, end }: ModelWindow = {},
) {
  const points = new Map([...channels].map(([name, chunks]) => [name, modelPoints(chunks)]));
  const zeroMs = Math.min(...[...points.values()].flat().map(({ ms }) => ms));
  const shown = new Map<string, ModelPoint[]>();
  for (const [name, list] of points) {
    if (list.length === 0) continue;
    const later = list.filter(
      ({ ms }) =>
        (elapsed_seconds === undefined || (ms - zeroMs) / 1000 >= elapsed_seconds) &&
        (start === undefined || ms >= Math.round(start * 1000)) &&
        (end === undefined || ms <= Math.round(end * 1000)),
    );
    shown.set(name, last_n === undefined ? later : later.slice(-last_n));
  }
  return { shown, zeroMs };
}

/** The rows of the joined channels, as lists of entries: objects would lose the name __proto__. */
export function modelRows(shown: Map<string, ModelPoint[]>, zeroMs: number) {
  const rows = new Map<number, [string, number | null][]>();
  for (const [name, list] of shown) {
    for (const { ms, value } of list) {
      const row = rows.get(ms) ?? [];
      rows.set(ms, row);
      row.push([name, value]);
    }
  }
  return [...rows]
    .sort(([a], [b]) => a - b)
    .map(([ms, cells]) => ({ ms, relative: (ms - zeroMs) / 1000, cells: new Map(cells) }));
}
