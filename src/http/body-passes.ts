/*
 * Passes let bodies go on although the room is full, so that bodies cannot deadlock, each waiting for another. Of each
 * organization one body that is still arriving can have a pass, and one that has arrived as a whole.
 * An arriving body may stop or be slow. So while others want its pass it has it for one turn only. Then it is lapsed:
 * it keeps the bytes that it has brought, and needs another turn to bring more. A body that has arrived needs nothing
 * more from its sender and leaves soon, so it has no turns.
 */
export interface Passenger {
  organizationId: string;
  /** Bytes that the body holds. */
  held: number;
  /** Whether all of the body has arrived in this process, read or not. */
  isWhole(): boolean;
}

export interface Passes<Place extends Passenger> {
  /** Gives a body a pass if one is free. @returns whether it has one, until `giveBack` or the end of its turn */
  take(place: Place): boolean;
  /** The same for a body that has arrived as a whole. It gets no pass of an arriving body. */
  takeWhole(place: Place): boolean;
  /** Returns the pass of a body that does not need it any more, or has left. */
  giveBack(place: Place): void;
  /**
   * Ends the turns of bodies that have had a whole one, if others wait for their passes.
   * @param waiting bodies that were refused a pass
   * @returns bodies whose turn is over
   */
  endTurns(waiting: Iterable<Place>): Place[];
}

export interface PassLimits {
  /** Organizations that can have a pass at the same time, of each of the two kinds. */
  passesMax: number;
  /** Bytes that all lapsed bodies may hold. Beyond it no further turn is ended. */
  lapsedBytesMax: number;
}

/** @param letsWholeBy whether bodies that have arrived as a whole have passes of their own */
export function createPasses<Place extends Passenger>(
  { passesMax, lapsedBytesMax }: PassLimits,
  letsWholeBy: boolean,
): Passes<Place> {
  const arriving = new Map<string, { place: Place; hadTurn: boolean }>();
  const arrived = new Map<string, Place>();
  /** Bodies whose turn is over, and which have not got another one. */
  const lapsed = new Set<Place>();

  function mayPassWhole(place: Place): boolean {
    if (!letsWholeBy) return false;
    const { organizationId } = place;
    if (!arrived.has(organizationId) && arrived.size < passesMax) arrived.set(organizationId, place);
    return arrived.get(organizationId) === place;
  }

  function mayPassArriving(place: Place): boolean {
    const { organizationId } = place;
    if (!arriving.has(organizationId) && arriving.size < passesMax) {
      arriving.set(organizationId, { place, hadTurn: false });
      lapsed.delete(place);
    }
    return arriving.get(organizationId)?.place === place;
  }

  return {
    take: (place) => (place.isWhole() && mayPassWhole(place)) || mayPassArriving(place),
    takeWhole: mayPassWhole,
    giveBack(place) {
      const { organizationId } = place;
      if (arriving.get(organizationId)?.place === place) arriving.delete(organizationId);
      if (arrived.get(organizationId) === place) arrived.delete(organizationId);
      lapsed.delete(place);
    },
    endTurns(waiting) {
      const waitingOwners = new Set(Array.from(waiting, (place) => place.organizationId));
      const isShort = arriving.size >= passesMax && [...waitingOwners].some((owner) => !arriving.has(owner));
      let lapsedBytes = 0;
      for (const { held } of lapsed) lapsedBytes += held;
      const ended: Place[] = [];
      for (const [owner, pass] of arriving) {
        const { place, hadTurn } = pass;
        pass.hadTurn = true;
        const isWanted = isShort || waitingOwners.has(owner);
        if (!hadTurn || !isWanted || lapsedBytes + place.held > lapsedBytesMax) continue;
        arriving.delete(owner);
        lapsed.add(place);
        lapsedBytes += place.held;
        ended.push(place);
      }
      return ended;
    },
  };
}
