/** What the connections of each organization have sent ahead of what is served. */
export interface KeyedAhead {
  /** So many more requests of this owner have come ahead; below 0, so many have been begun or forgotten. */
  add(owner: string, requests: number): void;
  /** Whether the owner has sent more than its share. Then none of its connections is read, until half of that has been begun. */
  isOver(owner: string): boolean;
}

/**
 * Each owner may have as many requests ahead as it leaves free, so that there is room for whoever comes next. An owner that has none
 * ahead is read in any case: together they have `keyedAheadMax` at most, and for each owner what one read brings.
 * @param onChange the owner has gone beyond its share, or is within it again
 */
export function createKeyedAhead(keyedAheadMax: number, onChange: (owner: string) => void): KeyedAhead {
  const held = new Map<string, number>();
  const over = new Set<string>();
  let all = 0;
  const shareOf = (owner: string) => (keyedAheadMax - all + (held.get(owner) ?? 0)) / 2;

  function goOnWhereLittleIsLeft(): void {
    // The share of one grows by what others have left.
    for (const owner of over) {
      const ahead = held.get(owner) ?? 0;
      if (ahead > 0 && ahead > shareOf(owner) / 2) continue;
      over.delete(owner);
      onChange(owner);
    }
  }

  return {
    isOver: (owner) => over.has(owner),
    add(owner, requests) {
      const ahead = (held.get(owner) ?? 0) + requests;
      all += requests;
      if (ahead === 0) held.delete(owner);
      else held.set(owner, ahead);
      if (requests < 0) goOnWhereLittleIsLeft();
      if (requests <= 0 || over.has(owner) || ahead <= shareOf(owner)) return;
      over.add(owner);
      onChange(owner);
    },
  };
}
