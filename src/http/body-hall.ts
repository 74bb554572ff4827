import { createPasses, type Passenger, type PassLimits } from './body-passes.ts';

/** A body, and the bytes that it takes of its hall. */
export interface HallPlace extends Passenger {
  hall: Hall | undefined;
  /** Bytes that it was allowed to hold in advance. The larger of `granted` and `held` is counted. */
  granted: number;
  onRoom: () => void;
}

/**
 * One of the two parts of the room of bodies: for small or for large ones. An organization may take at most what
 * remains free.
 */
export interface Hall {
  /** Bytes that are counted now. */
  inside(): number;
  /**
   * Bodies that wait for room in this hall. A body that has just become large waits here, and is still counted in the
   * small hall.
   */
  waiting: Set<HallPlace>;
  /** Whether a body may hold more: because there is room, or because it has a pass. */
  mayGoOn(place: HallPlace): boolean;
  /** The same for a body that has arrived as a whole, and whose bytes are not counted yet. */
  mayGoOnWhole(place: HallPlace, bytes: number): boolean;
  /** Returns a body's pass in this hall. */
  giveBack(place: HallPlace): void;
  /** Changes the bytes of a body, and counts the difference. */
  change(place: HallPlace, changed: Partial<Pick<HallPlace, 'held' | 'granted'>>): void;
  enter(place: HallPlace): void;
  leave(place: HallPlace): void;
  /** Ends the turns of bodies that have had one on a pass, if others wait for passes, and wakes waiting bodies. */
  nextTurn(): void;
}

export interface HallLimits extends PassLimits {
  bytesMax: number;
  /** Bytes that a body is granted in advance after it has waited. */
  stepBytes: number;
}

/**
 * @param isSmall whether this is the hall of small bodies. Only there a body that has arrived as a whole can get a pass.
 * @param move moves a body that may go on into this hall, from the one in which it was
 */
export function createHall(
  { bytesMax, stepBytes, ...passLimits }: HallLimits,
  isSmall: boolean,
  move: (place: HallPlace, hall: Hall) => void,
): Hall {
  const waiting = new Set<HallPlace>();
  const ofOrganization = new Map<string, number>();
  const passes = createPasses<HallPlace>(passLimits, isSmall);
  let inside = 0;

  function count(organizationId: string, bytes: number): void {
    inside += bytes;
    const total = (ofOrganization.get(organizationId) ?? 0) + bytes;
    if (total === 0) ofOrganization.delete(organizationId);
    else ofOrganization.set(organizationId, total);
  }

  /** Whether an organization may hold so many bytes more: it must leave as much free as it holds. */
  function hasRoom(organizationId: string, more = 0): boolean {
    const free = bytesMax - inside - more;
    return free > 0 && (ofOrganization.get(organizationId) ?? 0) + more <= free;
  }

  /** Wakes waiting bodies that may go on now. @param last organizations whose bodies come after all others */
  function wake(last: ReadonlySet<string> = new Set()): void {
    const isLast = ({ organizationId }: HallPlace) => last.has(organizationId);
    const inOrder = last.size === 0 ? waiting : [...waiting].sort((a, b) => +isLast(a) - +isLast(b));
    for (const place of inOrder) {
      // A body that was woken before it may have ended this one.
      if (!waiting.has(place) || !hall.mayGoOn(place)) continue;
      waiting.delete(place);
      move(place, hall);
      // Counted at once, so that one free byte does not wake all bodies.
      hall.change(place, { granted: place.held + stepBytes });
      place.onRoom();
    }
  }

  const hall: Hall = {
    waiting,
    inside: () => inside,
    mayGoOn(place) {
      if (!hasRoom(place.organizationId)) return passes.take(place);
      passes.giveBack(place);
      return true;
    },
    mayGoOnWhole: (place, bytes) => hasRoom(place.organizationId, bytes) || passes.takeWhole(place),
    giveBack: passes.giveBack,
    change(place, changed) {
      const before = countedOf(place);
      Object.assign(place, changed);
      count(place.organizationId, countedOf(place) - before);
    },
    enter: (place) => count(place.organizationId, countedOf(place)),
    leave(place) {
      passes.giveBack(place);
      count(place.organizationId, -countedOf(place));
      wake();
    },
    nextTurn() {
      if (waiting.size === 0) return;
      const ended = passes.endTurns(waiting);
      for (const place of ended) hall.change(place, { granted: 0 });
      wake(new Set(ended.map((place) => place.organizationId)));
    },
  };
  return hall;
}

const countedOf = ({ held, granted }: HallPlace) => Math.max(held, granted);
