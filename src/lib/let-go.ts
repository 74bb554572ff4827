/** Takes out of a map what stands in it for longest, until it is no larger than that. */
export function letGo<Key>(map: Map<Key, unknown>, sizeMax: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= sizeMax) return;
    map.delete(oldest);
  }
}
