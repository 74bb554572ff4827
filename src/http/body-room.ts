import { createHall, type Hall, type HallLimits, type HallPlace } from './body-hall.ts';

/**
 * Bounds the memory of request bodies, until they are answered. It counts bytes that have arrived and are decoded,
 * never those that a request only announces.
 */
export interface BodyRoom {
  /**
   * Registers a body.
   * @param sizeMax its Content-Length; a body without one begins as a small one
   * @param isWhole whether all of it has arrived in this process, read or not
   */
  enter(organizationId: string, sizeMax?: number, isWhole?: () => boolean): BodyPlace;
  /** Bytes that are counted, and the number of bodies that wait for room. */
  state(): { bytes: number; waiting: number };
}

/** One body in the room. */
export interface BodyPlace {
  /**
   * Counts bytes that the body holds from now on.
   * @returns whether more may be read now; otherwise `onRoom` is called once as soon as it may
   */
  take(bytes: number, onRoom: () => void): boolean;
  /**
   * Counts a small body that has arrived as a whole, if there is room for all of it or it gets a pass.
   * @returns whether it may go on; when not, nothing was counted
   */
  takeWhole(bytes: number): boolean;
  /** Gives back all bytes of the body. Further calls do nothing. */
  leave(): void;
}

/** `bytesMax` bounds each of the two halls. */
interface Options extends HallLimits {
  /** Bytes of the largest body in the small hall. */
  smallMax: number;
  /** Length of a turn on a pass while others wait for it, in ms. */
  turnMs: number;
}

/**
 * There are two halls: one for bodies up to `smallMax`, one for larger ones, so that a small body never waits for a
 * large one. In each hall an organization may take at most as much as it leaves free, so that there is always room for
 * another one. Beyond that a body needs a pass (`body-passes.ts`): one arriving body of each organization can have one, for
 * a turn at a time, and in the small hall also one body that has arrived as a whole. So bodies neither deadlock nor wait
 * for one that has stopped or is slow. A hall holds at most `bytesMax`, `passesMax` bodies of each kind and
 * `lapsedBytesMax`, and one read of a socket more for each.
 */
export function createBodyRoom({ smallMax, turnMs, ...hallLimits }: Options): BodyRoom {
  const [smallHall, largeHall] = [createHall(hallLimits, true, move), createHall(hallLimits, false, move)];
  const halls = [smallHall, largeHall];
  let isTurnDue = false;

  function wait(place: HallPlace, hall: Hall): void {
    // A body that has grown waits for the large hall, so it returns its pass of the small one.
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
