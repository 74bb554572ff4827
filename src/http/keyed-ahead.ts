/** What the connections of each organization have sent ahead of what is served. */
export interface KeyedAhead {
  /** So many more requests of this owner have come ahead; below 0, so many have been begun or forgotten. */
  add(owner: string, requests: number): void;
  /** Whether no connection of this owner is read now. */
  isOver(owner: string): boolean;
  /** What an owner goes through that is beyond its share; undefined for any other. */
  excessOf(owner: string): Excess | undefined;
  /**
   * Requests that one connection of this owner may have ahead; the one that sends more is closed.
   * @param cameIn the excess in which the connection became one of this owner
   */
  mostOf(owner: string, cameIn: Excess | undefined): number;
}

/** A time in which an owner is beyond its share. */
export interface Excess {
  /** It has lasted for long. */
  isLate: boolean;
}

interface Options {
  keyedAheadMax: number;
  keyedOverMsMax: number;
  /** What one connection may send ahead at any time, and what one may whose organization has been over its share for long. */
  aheadMax: number;
  aheadMin: number;
  /** Whether connections of this owner are read has changed. */
  onChange(owner: string): void;
}

/**
 * Each owner may have as many requests ahead as it leaves free, so that there is room for whoever comes next. One that has more is not
 * read until half of its share is left. An owner that has none ahead is read in any case: together they have `keyedAheadMax` at
 * most, and for each owner what one read brings.
 *
 * A client that sends and never reads would so stop all instruments of its laboratory. After `keyedOverMsMax` they are read again:
 * they send nothing ahead, and a connection that does is closed. So is a new one meanwhile: whose it is is not known before it is read.
 */
export function createKeyedAhead({ keyedAheadMax, keyedOverMsMax, aheadMax, aheadMin, onChange }: Options): KeyedAhead {
  const held = new Map<string, number>();
  const over = new Map<string, Excess>();
  let all = 0;
  const aheadOf = (owner: string) => held.get(owner) ?? 0;
  const shareOf = (owner: string) => (keyedAheadMax - all + aheadOf(owner)) / 2;

  function begin(owner: string): void {
    const excess = { isLate: false };
    over.set(owner, excess);
    onChange(owner);
    const readAgain = () => {
      excess.isLate = true;
      if (over.get(owner) === excess) onChange(owner);
    };
    setTimeout(readAgain, keyedOverMsMax).unref();
  }

  function goOnWhereLittleIsLeft(): void {
    // The share of one grows by what others have left.
    for (const owner of over.keys()) {
      if (aheadOf(owner) > Math.max(0, shareOf(owner) / 2)) continue;
      over.delete(owner);
      onChange(owner);
    }
  }

  return {
    excessOf: (owner) => over.get(owner),
    isOver: (owner) => over.get(owner)?.isLate === false,
    mostOf(owner, cameIn) {
      const excess = over.get(owner);
      if (excess === undefined || (!excess.isLate && cameIn !== excess)) return aheadMax;
      return aheadOf(owner) < 2 * shareOf(owner) ? aheadMin : 0;
    },
    add(owner, requests) {
      const ahead = aheadOf(owner) + requests;
      all += requests;
      if (ahead === 0) held.delete(owner);
      else held.set(owner, ahead);
      if (requests < 0) goOnWhereLittleIsLeft();
      if (requests > 0 && !over.has(owner) && ahead > shareOf(owner)) begin(owner);
    },
  };
}
