/** Removes the oldest entries of a map until it has at most `sizeMax`. */
export function letGo<Key>(map: Map<Key, unknown>, sizeMax: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= sizeMax) return;
    map.delete(oldest);
  }
}
