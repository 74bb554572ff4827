/**
 * Renames the names that are reserved for something else: to `NAME (KIND)`, or to `NAME (KIND 2)` and so on when
 * another of the names is exactly that. @returns all names, in the order given
 */
export function renameReserved(names: readonly string[], reserved: ReadonlySet<string>, kind: string): string[] {
  const taken = new Set(names);
  return names.map((name) => {
    if (!reserved.has(name)) return name;
    for (let number = 1; ; number++) {
      const candidate = number === 1 ? `${name} (${kind})` : `${name} (${kind} ${number})`;
      if (!taken.has(candidate)) return candidate;
    }
  });
}
