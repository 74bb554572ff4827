/** What waits, in a line for each owner. It is taken from each line in turn, and within a line in the order in which it came. */
export interface Rotation<Item> {
  readonly isEmpty: boolean;
  push(owner: string, item: Item): void;
  /** Takes out what is next. */
  shift(): Item | undefined;
}

interface Line<Item> {
  items: Item[];
  /** Where the first is that was not taken: to move up thousands for each would take time. */
  first: number;
}

export function createRotation<Item>(): Rotation<Item> {
  // A Map keeps the order of insertion: the line that was taken from last is its last.
  const lines = new Map<string, Line<Item>>();
  return {
    get isEmpty() {
      return lines.size === 0;
    },
    push(owner, item) {
      const line = lines.get(owner);
      if (line === undefined) lines.set(owner, { items: [item], first: 0 });
      else line.items.push(item);
    },
    shift() {
      for (const [owner, line] of lines) {
        const item = line.items[line.first++];
        lines.delete(owner);
        if (line.first < line.items.length) lines.set(owner, line);
        return item;
      }
      return undefined;
    },
  };
}
