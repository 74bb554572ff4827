/** Some things by what each of them belongs to, in the order of the first of each: `Map.groupBy`, which Node 20 lacks. */
export function groupBy<One, Key>(some: Iterable<One>, keyOf: (one: One) => Key): Map<Key, One[]> {
  const groups = new Map<Key, One[]>();
  for (const one of some) {
    const key = keyOf(one);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return groups;
}
