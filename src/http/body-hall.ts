import { createPasses, type Passenger, type PassLimits } from './body-passes.ts';

/** A body and what it takes of the hall in which it is. */
export interface HallPlace extends Passenger {
  hall: Hall | undefined;
  /** Bytes that it may hold; counted in the stead of those that it holds when they are more. */
  granted: number;
  onRoom: () => void;
}

/** One of the halves of the room of bodies. An organization may take as much of it as it leaves free. */
export interface Hall {
  /** Bytes that are counted. */
  inside(): number;
  /** Places that wait for room here; one that grows beyond a small body has its place in the other hall until then. */
  waiting: Set<HallPlace>;
  mayGoOn(place: HallPlace): boolean;
  /** The same for one that has arrived, with so many bytes, of which none is counted yet. */
  mayGoOnWhole(place: HallPlace, bytes: number): boolean;
  /** It needs no pass here any more. */
  giveBack(place: HallPlace): void;
  /** Changes what a place takes, and counts that. */
  change(place: HallPlace, changed: Partial<Pick<HallPlace, 'held' | 'granted'>>): void;
  enter(place: HallPlace): void;
  leave(place: HallPlace): void;
  /** Ends turns of those that go on beyond the room, for the sake of those that wait, and wakes these. */
  nextTurn(): void;
}

export interface HallLimits extends PassLimits {
  bytesMax: number;
  /** Bytes that a body has ahead that has waited. */
  stepBytes: number;
}

/**
 * @param isSmall whether it is the one of small bodies, of which one that has arrived may go on beyond the room
 * @param move brings a place that may go on into this hall, wherever it was
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
    const its = (ofOrganization.get(organizationId) ?? 0) + bytes;
    if (its === 0) ofOrganization.delete(organizationId);
    else ofOrganization.set(organizationId, its);
  }

  /** Whether there is still something free for an organization when it has so many bytes more. */
  function hasRoom(organizationId: string, more = 0): boolean {
    const free = bytesMax - inside - more;
    return free > 0 && (ofOrganization.get(organizationId) ?? 0) + more <= free;
  }

  /** @param last organizations whose bodies are asked after all others */
  function wake(last: ReadonlySet<string> = new Set()): void {
    const isLast = ({ organizationId }: HallPlace) => last.has(organizationId);
    const inOrder = last.size === 0 ? waiting : [...waiting].sort((a, b) => +isLast(a) - +isLast(b));
    for (const place of inOrder) {
      // What was woken before may have ended it.
      if (!waiting.has(place) || !hall.mayGoOn(place)) continue;
      waiting.delete(place);
      move(place, hall);
      // Taken at once, so that one free byte does not wake all.
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
