/*
 * Who goes on although there is no room, so that bodies never all wait for each other: of each organization one body that
 * arrives, and one that has arrived. One that arrives may stop or drip. So it goes on for a turn only while others want its
 * place; then it keeps what it has brought, and waits for its next turn when it brings more. One that has arrived needs nothing
 * more of its sender, and has gone soon.
 */
export interface Passenger {
  organizationId: string;
  /** Bytes that it holds. */
  held: number;
  /** Whether all of it has come to this process, read or not. */
  isWhole(): boolean;
}

export interface Passes<Place extends Passenger> {
  /** Whether it may go on. Where nobody stands in its way it is given what it needs for that, until it gives it back. */
  take(place: Place): boolean;
  /** The same for one of which it is known that it has arrived, and which waits for no turn otherwise. */
  takeWhole(place: Place): boolean;
  /** It needs no pass any more, or has left. */
  giveBack(place: Place): void;
  /**
   * Ends the turns of those that have had one, where somebody waits for it.
   * @param waiting those that were told that they may not go on
   * @returns those whose turn is over
   */
  endTurns(waiting: Iterable<Place>): Place[];
}

export interface PassLimits {
  /** Organizations of which one body each may go on. */
  passesMax: number;
  /** Bytes that bodies may hold whose turn is over; beyond it a turn lasts as long as its body. */
  lapsedBytesMax: number;
}

/** @param letsWholeBy whether one that has arrived needs no turn */
export function createPasses<Place extends Passenger>(
  { passesMax, lapsedBytesMax }: PassLimits,
  letsWholeBy: boolean,
): Passes<Place> {
  const arriving = new Map<string, { place: Place; hadTurn: boolean }>();
  const arrived = new Map<string, Place>();
  /** Those whose turn is over. */
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
