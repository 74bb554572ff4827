/** Groups items by key, the groups in the order of their first item: `Map.groupBy`, which Node 20 lacks. */
export function groupBy<One, Key>(items: Iterable<One>, keyOf: (one: One) => Key): Map<Key, One[]> {
  const groups = new Map<Key, One[]>();
  for (const one of items) {
    const key = keyOf(one);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return groups;
}
