/**
 * The room in which bodies are until they have become rows. It counts bytes when they have arrived and are decoded, never what
 * a request only announces.
 */
export interface BodyRoom {
  /** @param sizeMax bytes that it says it has, as far as it says so; a body that says nothing begins as a small one */
  enter(organizationId: string, sizeMax?: number): BodyPlace;
  /** Bytes inside, and how many bodies wait for room. */
  state(): { bytes: number; waiting: number };
}

/** What one body takes of the room. */
export interface BodyPlace {
  /**
   * Counts bytes that are held from now on.
   * @returns whether more may be read at once; otherwise `onRoom` is called, once, when it may
   */
  take(bytes: number, onRoom: () => void): boolean;
  /**
   * Counts a small body that has arrived whole, where there is room for all of it.
   * @returns whether there is; otherwise nothing was counted
   */
  takeWhole(bytes: number): boolean;
  /** Nothing of the body is held any more; more than one call is one. */
  leave(): void;
}

interface Options {
  /** Bytes of bodies up to smallMax, and of larger ones again. */
  bytesMax: number;
  smallMax: number;
  /** Bytes that a body has ahead that has waited. */
  stepBytes: number;
  /** Organizations of which one body may go on beyond the room. */
  passesMax: number;
}

interface Place extends BodyPlace {
  organizationId: string;
  hall: Hall | undefined;
  held: number;
  /** What it may hold; counted in its stead when it is more. */
  granted: number;
  onRoom: () => void;
}

/** One of the two halves of the room. */
interface Hall {
  inside: number;
  /** Places that wait for room here; one that grows beyond a small body has its place in the other hall until then. */
  waiting: Set<Place>;
  ofOrganization: Map<string, number>;
  /** By organization, the body that may go on beyond what is free. */
  passes: Map<string, Place>;
}

/**
 * Bodies up to `smallMax` and larger ones have halls of their own, so that a small one never waits for a large one.
 * In each an organization may take as much as it leaves free, so that there is always room for another one. Beyond that one
 * body of each organization goes on, so that they cannot all wait for each other; it is one that has something to read, so
 * that none that drips keeps the others. So a hall holds `bytesMax` and `passesMax` bodies at most, and what one read brings
 * of each.
 */
export function createBodyRoom({ bytesMax, smallMax, stepBytes, passesMax }: Options): BodyRoom {
  const [smallHall, largeHall] = [newHall(), newHall()];

  function mayGoOn(hall: Hall, place: Place): boolean {
    const { organizationId } = place;
    const holder = hall.passes.get(organizationId);
    if (holder === place) return true;
    if (hasRoom(hall, organizationId, bytesMax)) return true;
    if (holder !== undefined || hall.passes.size >= passesMax) return false;
    hall.passes.set(organizationId, place);
    return true;
  }

  function move(place: Place, target: Hall | undefined): void {
    const { hall } = place;
    if (hall === target) return;
    place.hall = target;
    if (hall !== undefined) {
      if (hall.passes.get(place.organizationId) === place) hall.passes.delete(place.organizationId);
      count(hall, place, -countedOf(place));
    }
    place.granted = 0;
    if (target !== undefined) count(target, place, place.held);
    if (hall !== undefined) wake(hall);
  }

  /** @returns whether more may be read */
  function take(place: Place, bytes: number): boolean {
    const { hall } = place;
    if (hall === undefined) return true;
    grow(hall, place, () => {
      place.held += bytes;
    });
    const wanted = place.held > smallMax ? largeHall : hall;
    if (hall === wanted && place.held < place.granted) return true;
    if (!mayGoOn(wanted, place)) {
      wanted.waiting.add(place);
      return false;
    }
    move(place, wanted);
    return true;
  }

  function wake(hall: Hall): void {
    for (const place of hall.waiting) {
      if (!mayGoOn(hall, place)) continue;
      hall.waiting.delete(place);
      move(place, hall);
      // Taken at once, so that one free byte does not wake all.
      grow(hall, place, () => {
        place.granted = place.held + stepBytes;
      });
      place.onRoom();
    }
  }

  return {
    enter(organizationId, sizeMax = 0) {
      const place: Place = {
        organizationId,
        hall: undefined,
        held: 0,
        granted: 0,
        onRoom() {},
        take: (bytes, onRoom) => {
          place.onRoom = onRoom;
          return take(place, bytes);
        },
        takeWhole: (bytes) => takeWhole(place, bytes, bytesMax),
        leave() {
          if (place.hall === undefined) return;
          smallHall.waiting.delete(place);
          largeHall.waiting.delete(place);
          move(place, undefined);
        },
      };
      // It holds nothing yet, so that there is nothing to count.
      place.hall = sizeMax > smallMax ? largeHall : smallHall;
      return place;
    },
    state: () => ({
      bytes: smallHall.inside + largeHall.inside,
      waiting: smallHall.waiting.size + largeHall.waiting.size,
    }),
  };
}

const newHall = (): Hall => ({ inside: 0, waiting: new Set(), ofOrganization: new Map(), passes: new Map() });

/** Whether there is still something free for an organization when it has so many bytes more. */
function hasRoom({ inside, ofOrganization }: Hall, organizationId: string, bytesMax: number, more = 0): boolean {
  const free = bytesMax - inside - more;
  return free > 0 && (ofOrganization.get(organizationId) ?? 0) + more <= free;
}

function takeWhole(place: Place, bytes: number, bytesMax: number): boolean {
  const { hall, organizationId } = place;
  if (hall === undefined) return true;
  if (!hasRoom(hall, organizationId, bytesMax, bytes)) return false;
  place.held = bytes;
  count(hall, place, bytes);
  return true;
}

const countedOf = ({ held, granted }: Place) => Math.max(held, granted);

/** Changes what a place takes, and counts that. */
function grow(hall: Hall, place: Place, change: () => void): void {
  const before = countedOf(place);
  change();
  count(hall, place, countedOf(place) - before);
}

function count(hall: Hall, { organizationId }: Place, bytes: number): void {
  hall.inside += bytes;
  const its = (hall.ofOrganization.get(organizationId) ?? 0) + bytes;
  if (its === 0) hall.ofOrganization.delete(organizationId);
  else hall.ofOrganization.set(organizationId, its);
}
