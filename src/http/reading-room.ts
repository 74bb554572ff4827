import { unavailable } from '../errors.ts';
import { createFairRoom, type FairRoom } from '../lib/fair-room.ts';
import type { Reading } from '../lib/reading.ts';
import { createTurns, type Turns } from '../lib/turns.ts';
import type { HttpLimits } from './limits.ts';

type Limits = Pick<
  HttpLimits,
  | 'readsMax'
  | 'waitingReadsMax'
  | 'readWaitMsMax'
  | 'readPlansMax'
  | 'largeReadBytesMax'
  | 'stalledReadMsMax'
  | 'readTurnMsMax'
>;

/** Bounds all reads of a server process together, and shares them fairly between organizations. */
export interface ReadingRoom {
  /**
   * Waits for a place.
   * @param signal aborts the read
   * @param cut called to end the read of a stalled client when others need its place
   * @param waitSignal aborts the wait for a place
   * @throws ApiError 503 when too many reads wait already or it has waited too long; the reason of `waitSignal`
   */
  enter(organizationId: string, signal: AbortSignal, cut: () => void, waitSignal?: AbortSignal): Promise<Place>;
  /** Reads that have a place, those that wait for something, and bytes of large reads. */
  counts(): { reads: number; waiting: number; largeBytes: number };
  close(): void;
}

export interface Place {
  reading: Reading;
  /** Says that the read waits for its client to take data, until `goOn`. */
  waitForClient(): void;
  goOn(): void;
  /**
   * A place for work whose result is shared, so that it must not end with this client. It takes turns and large memory
   * as every read does, but counts towards no `readsMax`: the caller must bound how many there are.
   */
  apart(): Place;
  /** Gives back everything that the read holds. Further calls do nothing. */
  leave(): void;
}

/** The client of a read has gone, or the read was cut off, so there is nobody to answer. */
export class ClientGone extends Error {
  constructor() {
    super('the client has gone');
  }
}

interface Held {
  organizationId: string;
  cut: () => void;
  /** Since when its client has taken nothing; undefined while the read does not wait for it. */
  stalledAt: number | undefined;
  largeBytes: number;
}

/**
 * Every read has one of `readsMax` places. A place covers the memory that every read needs: a page of points, the state
 * of a channel, a piece of the answer. A read that needs more reserves it from `largeReadBytesMax`. Reads cannot
 * deadlock, because they take what they need in one order: a place, then a plan, then large memory. A read that holds
 * one of these never waits for an earlier one. Work that is prepared ahead takes a plan and memory only without
 * waiting. A read may wait for a slow client. One whose client has taken nothing for `stalledReadMsMax` is cut off as
 * soon as a read of the same organization, or of one with fewer reads, waits for room.
 */
export function createReadingRoom(limits: Limits, now: () => number = () => performance.now()): ReadingRoom {
  const turns = createTurns({ turnMs: limits.readTurnMsMax, now });
  const held = new Set<Held>();
  const roomOf = (unitsMax: number, what: string) =>
    createFairRoom({
      unitsMax,
      waitingPerOwnerMax: limits.waitingReadsMax,
      waitMsMax: limits.readWaitMsMax,
      refuse: (why) => refusal(why, what, limits),
      onWait: lookForStalled,
    });
  const places = roomOf(limits.readsMax, `readsMax, ${limits.readsMax} reads`);
  const plans = roomOf(limits.readPlansMax, `readPlansMax, ${limits.readPlansMax} reads that begin`);
  const large = roomOf(limits.largeReadBytesMax, `largeReadBytesMax, ${limits.largeReadBytesMax} bytes of large reads`);
  const rooms: Rooms = { turns, plans, large, held, now };
  let timer: NodeJS.Timeout | undefined;

  /** Checks for stalled reads, and again as long as any read waits. */
  function lookForStalled(): void {
    timer ??= setTimeout(() => {
      timer = undefined;
      cutStalled(places, () => true);
      cutStalled(large, ({ largeBytes }) => largeBytes > 0);
      if (places.waitingCount() + large.waitingCount() > 0) lookForStalled();
    }, limits.stalledReadMsMax / 10);
  }

  /**
   * Cuts one stalled read off for each read that waits: one of the same organization if there is any, otherwise one of an
   * organization with more reads.
   */
  function cutStalled(room: FairRoom, isOfUse: (one: Held) => boolean): void {
    const isStalled = ({ stalledAt }: Held) => stalledAt !== undefined && now() - stalledAt >= limits.stalledReadMsMax;
    const stalled = [...held]
      .filter((one) => isStalled(one) && isOfUse(one))
      .sort((a, b) => (a.stalledAt as number) - (b.stalledAt as number));
    if (stalled.length === 0) return;
    const reads = new Map<string, number>();
    for (const { organizationId } of held) reads.set(organizationId, (reads.get(organizationId) ?? 0) + 1);
    const readsOf = (organizationId: string) => reads.get(organizationId) ?? 0;
    for (const [organizationId, count] of room.waiting()) {
      for (let given = 0; given < count; given++) {
        const isOwn = (one: Held) => one.organizationId === organizationId;
        const isOfLarger = (one: Held) => readsOf(one.organizationId) > readsOf(organizationId) + given;
        const one = stalled.find(isOwn) ?? stalled.find(isOfLarger);
        if (one === undefined) break;
        stalled.splice(stalled.indexOf(one), 1);
        reads.set(one.organizationId, readsOf(one.organizationId) - 1);
        one.cut();
      }
    }
  }

  return {
    async enter(organizationId, signal, cut, waitSignal = signal) {
      const givePlace = await places.take(organizationId, 1, waitSignal);
      return createPlace(rooms, { organizationId, cut, stalledAt: undefined, largeBytes: 0 }, signal, givePlace);
    },
    counts: () => ({
      reads: places.heldUnits(),
      waiting: places.waitingCount() + plans.waitingCount() + large.waitingCount(),
      largeBytes: large.heldUnits(),
    }),
    close: () => clearTimeout(timer),
  };
}

interface Rooms {
  turns: Turns;
  plans: FairRoom;
  large: FairRoom;
  /** All reads that have a place. */
  held: Set<Held>;
  now: () => number;
}

function createPlace(rooms: Rooms, one: Held, signal: AbortSignal, givePlace: () => void): Place {
  const { turns, plans, large, held, now } = rooms;
  const { organizationId } = one;
  const given = new Set([givePlace]);
  held.add(one);
  const during = async <Result>(give: () => void, work: () => Promise<Result>) => {
    try {
      return await work();
    } finally {
      give();
    }
  };
  const holdLarge = (bytes: number, back: () => void) => {
    one.largeBytes += bytes;
    const give = () => {
      if (given.delete(give)) one.largeBytes -= bytes;
      back();
    };
    given.add(give);
    return give;
  };
  const reading: Reading = {
    signal,
    async rest() {
      signal.throwIfAborted();
      await turns.rest(organizationId, one);
      signal.throwIfAborted();
    },
    async plan(work) {
      return during(await plans.take(organizationId, 1, signal), work);
    },
    async enlarge(bytes) {
      return bytes <= 0 ? () => {} : holdLarge(bytes, await large.take(organizationId, bytes, signal));
    },
    tryPlan(work) {
      const give = signal.aborted ? undefined : plans.tryTake(organizationId, 1);
      return give && during(give, work);
    },
    tryEnlarge(bytes) {
      if (bytes <= 0) return () => {};
      const back = signal.aborted ? undefined : large.tryTake(organizationId, bytes);
      return back && holdLarge(bytes, back);
    },
  };
  return {
    reading,
    waitForClient() {
      one.stalledAt = now();
    },
    goOn() {
      one.stalledAt = undefined;
    },
    apart() {
      const other: Held = { organizationId, cut: () => {}, stalledAt: undefined, largeBytes: 0 };
      return createPlace(rooms, other, new AbortController().signal, () => {});
    },
    leave() {
      held.delete(one);
      for (const give of given) give();
    },
  };
}

function refusal(why: 'many' | 'late', what: string, { waitingReadsMax, readWaitMsMax }: Limits): Error {
  return unavailable(
    why === 'many'
      ? `More than ${waitingReadsMax} reads of this organization wait for room (waitingReadsMax).`
      : `This read has waited for ${readWaitMsMax} ms for the room of this organization (${what}), which other reads of it keep.`,
  );
}
