import { createHall, type Hall, type HallLimits, type HallPlace } from './body-hall.ts';

/**
 * The room in which bodies are until they have become rows. It counts bytes when they have arrived and are decoded, never what
 * a request only announces.
 */
export interface BodyRoom {
  /**
   * @param sizeMax bytes that it says it has, as far as it says so; a body that says nothing begins as a small one
   * @param isWhole whether all of it has come to this process, read or not
   */
  enter(organizationId: string, sizeMax?: number, isWhole?: () => boolean): BodyPlace;
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
   * Counts a small body that has arrived whole, where there is room for all of it or it may go on without.
   * @returns whether it may go on; otherwise nothing was counted
   */
  takeWhole(bytes: number): boolean;
  /** Nothing of the body is held any more; more than one call is one. */
  leave(): void;
}

/** Bytes of bodies up to smallMax and of larger ones are bounded each by `bytesMax`. */
interface Options extends HallLimits {
  smallMax: number;
  /** How long a body may go on beyond the room while others wait for that, in ms. */
  turnMs: number;
}

/**
 * Bodies up to `smallMax` and larger ones have halls of their own, so that a small one never waits for a large one.
 * In each an organization may take as much as it leaves free, so that there is always room for another one. Beyond that one
 * body of each organization goes on for a turn (`body-passes.ts`), so that they wait neither all for each other nor for one
 * that has stopped or drips; and one small body that has arrived. So a hall holds `bytesMax`, `passesMax` bodies of each kind
 * and `lapsedBytesMax` at most, and what one read brings of each.
 */
export function createBodyRoom({ smallMax, turnMs, ...hallLimits }: Options): BodyRoom {
  const [smallHall, largeHall] = [createHall(hallLimits, true, move), createHall(hallLimits, false, move)];
  const halls = [smallHall, largeHall];
  let isTurnDue = false;

  function wait(place: HallPlace, hall: Hall): void {
    // One that has grown waits for the large hall, and keeps nobody in the small one.
    if (place.hall !== hall) place.hall?.giveBack(place);
    hall.waiting.add(place);
    if (!isTurnDue) beginTurnLater();
  }

  function beginTurnLater(): void {
    isTurnDue = true;
    setTimeout(nextTurn, turnMs).unref();
  }

  function nextTurn(): void {
    isTurnDue = false;
    for (const hall of halls) hall.nextTurn();
    if (!isTurnDue && halls.some(({ waiting }) => waiting.size > 0)) beginTurnLater();
  }

  /** @returns whether more may be read */
  function take(place: HallPlace, bytes: number): boolean {
    const { hall } = place;
    if (hall === undefined) return true;
    hall.change(place, { held: place.held + bytes });
    const wanted = place.held > smallMax ? largeHall : hall;
    if (hall === wanted && place.held < place.granted) return true;
    if (!wanted.mayGoOn(place)) {
      wait(place, wanted);
      return false;
    }
    move(place, wanted);
    return true;
  }

  function leave(place: HallPlace): void {
    for (const { waiting } of halls) waiting.delete(place);
    move(place, undefined);
  }

  return {
    enter(organizationId, sizeMax = 0, isWhole = () => false) {
      const hall = sizeMax > smallMax ? largeHall : smallHall;
      const place: HallPlace = { organizationId, isWhole, hall, held: 0, granted: 0, onRoom() {} };
      return {
        take(bytes, onRoom) {
          place.onRoom = onRoom;
          return take(place, bytes);
        },
        takeWhole: (bytes) => takeWhole(place, bytes),
        leave: () => leave(place),
      };
    },
    state: () => ({
      bytes: halls.reduce((sum, hall) => sum + hall.inside(), 0),
      waiting: halls.reduce((sum, { waiting }) => sum + waiting.size, 0),
    }),
  };
}

function move(place: HallPlace, target: Hall | undefined): void {
  const { hall } = place;
  if (hall === target) return;
  place.hall = target;
  hall?.leave(place);
  place.granted = 0;
  target?.enter(place);
}

function takeWhole(place: HallPlace, bytes: number): boolean {
  if (place.hall?.mayGoOnWhole(place, bytes) === false) return false;
  place.hall?.change(place, { held: bytes });
  return true;
}
