import type { HttpLimits } from './limits.ts';

export type ReadingTimeLimits = Pick<HttpLimits, 'readingMsPerTurn' | 'readingPaidBack'>;

/** Whose connections are read: an organization, or undefined for all connections without a known key. */
export type Owner = string | undefined;

/** Bounds the time that reading takes. */
export interface ReadingTime {
  /** Something has come on a connection; called again and again. */
  begin(): void;
  /** Whether something has, for which `took` has not been called yet. */
  hasBegun(): boolean;
  /**
   * A read of a connection has been parsed.
   * @param isLong its head was so long that it took time before anything said that it had come
   * @returns whether nobody is read for the rest of this turn, from now on
   */
  took(owner: Owner, isLong: boolean): boolean;
  /** Whether nobody is read for the rest of this turn. */
  isTurnOver(): boolean;
  /** Whether connections of this owner are not read now, since it owes time. */
  owes(owner: Owner): boolean;
  /** Whether a turn has ended early since this was asked last. */
  wasCutShort(): boolean;
}

interface Options {
  limits: ReadingTimeLimits;
  /** Milliseconds from any origin. */
  now(): number;
  /** Those that are not in debt are read again. */
  onTurn(): void;
  /** So are those of these owners, whose debt is paid; the one that has brought work last is the last. */
  onPaid(owners: Owner[]): void;
}

/**
 * Node parses all that has come on every connection that is read, in one turn of the event loop. One read of pieces of one byte takes
 * 10 to 30 ms, one of header lines 2 ms, and a hundred connections bring them at once. So reading ends when it has taken
 * `readingMsPerTurn` in a turn; nobody is read for the rest of it.
 *
 * Turns of 30 ms would still leave somebody else waiting for 0.3 s, since a chunk needs some ten. So such a turn is paid back: the
 * owner that has taken most of it is not read for `readingPaidBack` times as long, during which others have free turns. What several
 * owners owe they pay together, in time in which none of them is read: else the turns of one would be the pause of the other.
 */
export function createReadingTime({ limits, now, onTurn, onPaid }: Options): ReadingTime {
  const { readingMsPerTurn, readingPaidBack } = limits;
  /** Milliseconds of reading in this turn. */
  const spentBy = new Map<Owner, number>();
  let isTurnBegun = false;
  let spent = 0;
  /** When the read at hand has begun, as far as is known, and when the one before it had been parsed. */
  let begunAt: number | undefined;
  let parsedAt = 0;
  let isTurnOver = false;
  let cuts = 0;
  let cutsSeen = 0;
  const debtors = new Set<Owner>();
  let paidAt = 0;
  let timer: NodeJS.Timeout | undefined;

  function nextTurn(): void {
    isTurnBegun = false;
    spentBy.clear();
    spent = 0;
    begunAt = undefined;
    if (!isTurnOver) return;
    isTurnOver = false;
    onTurn();
  }

  function begin(): void {
    if (begunAt !== undefined) return;
    begunAt = now();
    if (isTurnBegun) return;
    isTurnBegun = true;
    parsedAt = begunAt;
    setImmediate(nextTurn);
  }

  function owe(owner: Owner): void {
    debtors.delete(owner);
    debtors.add(owner);
    // What was owed before this turn was not paid in it.
    const left = timer === undefined ? 0 : Math.max(0, paidAt - (parsedAt - spent));
    const owed = left + spent * readingPaidBack;
    paidAt = parsedAt + owed;
    clearTimeout(timer);
    timer = setTimeout(pay, Math.ceil(owed)).unref();
  }

  function pay(): void {
    timer = undefined;
    const owners = [...debtors];
    debtors.clear();
    onPaid(owners);
  }

  return {
    begin,
    hasBegun: () => begunAt !== undefined,
    took(owner, isLong) {
      begin();
      const at = now();
      const ms = at - (isLong ? parsedAt : (begunAt as number));
      begunAt = undefined;
      parsedAt = at;
      spent += ms;
      spentBy.set(owner, (spentBy.get(owner) ?? 0) + ms);
      if (isTurnOver || spent < readingMsPerTurn) return false;
      isTurnOver = true;
      cuts++;
      if (readingPaidBack > 0) owe(largestOf(spentBy));
      return true;
    },
    isTurnOver: () => isTurnOver,
    owes: (owner) => debtors.has(owner),
    wasCutShort() {
      const was = cuts !== cutsSeen;
      cutsSeen = cuts;
      return was;
    },
  };
}

function largestOf(spentBy: ReadonlyMap<Owner, number>): Owner {
  const [first] = [...spentBy].sort(([, a], [, b]) => b - a);
  return first?.[0];
}
