/** Bounds of one request, from `readerLimits`. */
interface Room {
  pointsAtOnce: number;
  nameBytesMax: number;
}

/** Divides channels into at most `countMax` shares of about the same size; neighbours stay together. */
export function sharesOf(channels: readonly string[], countMax: number): string[][] {
  const size = Math.ceil(channels.length / countMax);
  const count = Math.ceil(channels.length / size);
  return Array.from({ length: count }, (_, i) => channels.slice(i * size, (i + 1) * size));
}

/** The first channels, as many as may be requested at once. */
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
