/** What one address and one answer may hold; `readerLimits` says how much that is. */
interface Room {
  pointsAtOnce: number;
  nameBytesMax: number;
}

/** Neighbours in shares of about the same size, at most so many. */
export function sharesOf(channels: readonly string[], countMax: number): string[][] {
  const size = Math.ceil(channels.length / countMax);
  const count = Math.ceil(channels.length / size);
  return Array.from({ length: count }, (_, i) => channels.slice(i * size, (i + 1) * size));
}

/** So many of the channels as are asked for at once. */
export function firstPart(channels: readonly string[], points: number, { pointsAtOnce, nameBytesMax }: Room): string[] {
  const part: string[] = [];
  let bytes = 0;
  for (const channel of channels) {
    bytes += encodeURIComponent(channel).length + 16;
    if (part.length > 0 && (bytes > nameBytesMax || (part.length + 1) * points > pointsAtOnce)) break;
    part.push(channel);
  }
  return part;
}
