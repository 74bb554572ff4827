/**
 * A fair queue (round-robin): one line for each owner. Items are taken from each line in turn, within a line in order
 * of arrival.
 */
export interface Rotation<Item> {
  readonly isEmpty: boolean;
  push(owner: string, item: Item): void;
  /** Takes out the next item; undefined when there is none. */
  shift(): Item | undefined;
}

interface Line<Item> {
  items: Item[];
  /** Index of the first item that was not taken. `items.shift()` would move thousands of items each time. */
  first: number;
}

export function createRotation<Item>(): Rotation<Item> {
  // A Map keeps the order of insertion. A line is inserted anew after an item was taken from it, so it comes last.
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
