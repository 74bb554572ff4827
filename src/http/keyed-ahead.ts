/** Counts the requests that the connections of each owner have sent ahead of those being served. An owner is an organization or a proxy. */
export interface KeyedAhead {
  /** Adds requests of this owner; a negative number takes away requests that have begun or were dropped. */
  add(owner: string, requests: number): void;
  /** Whether the connections of this owner are not read now. */
  isOver(owner: string): boolean;
  /** The excess that an owner is in; undefined for an owner within its share. */
  excessOf(owner: string): Excess | undefined;
  /**
   * How many requests one connection of this owner may have ahead; a connection that sends more is closed.
   * @param cameIn the excess that the owner was in when the connection became one of its own
   */
  mostOf(owner: string, cameIn: Excess | undefined): number;
}

/** A period in which an owner is beyond its share. */
export interface Excess {
  /** It has lasted for `keyedOverMsMax`. */
  isLate: boolean;
}

interface Options {
  keyedAheadMax: number;
  keyedOverMsMax: number;
  /** What one connection may usually send ahead. */
  aheadMax: number;
  /** What it may send ahead when its owner has been beyond its share for long. */
  aheadMin: number;
  /** What `isOver` says of this owner may have changed. */
  onChange(owner: string): void;
}

/**
 * The share of an owner: it may have as many requests ahead as it leaves free for others, so that there is room for the next owner.
 * The connections of an owner beyond its share are not read until it has no more than half of its share ahead. An owner that has none
 * ahead is always read. So all owners together have at most `keyedAheadMax` ahead, and for each owner what one read brings.
 *
 * By this rule alone, one client that sends and never reads would stop all instruments of its laboratory. So after `keyedOverMsMax`
 * the connections are read again, and from then on a connection that sends more than a few requests ahead is closed. A new connection
 * is held to this even before: it has to be read before the server knows whose it is.
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
    // All owners are looked at: the share of one grows when another has less ahead.
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
