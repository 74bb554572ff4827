/**
 * Each name in the order given: itself, or `NAME (KIND)` where the name is reserved for something else, or `NAME (KIND 2)`
 * and so on where one of the others really has that name.
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
