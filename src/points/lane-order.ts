/** Several channels side by side, and which of them come next. */
export interface LaneOrder {
  /** The time of each channel's next point, infinite at its end. Only those of channels that are taken may be changed. */
  fronts: Float64Array;
  /** The earliest front. */
  earliest(): number;
  /** Takes all channels whose front is the earliest, and puts them into `row`, in order. @returns how many they are */
  takeEarliest(): number;
  row: Uint32Array;
  /** Puts those that are taken back, by the fronts that they have now. At the beginning all are taken. */
  putBack(): void;
}

/** Up to so many channels, looking at each for every row costs a third of keeping a heap; at 100 it costs more. */
const scannedLanesMax = 32;

export const createLaneOrder = (count: number): LaneOrder =>
  count <= scannedLanesMax ? createLaneScan(count) : createLaneHeap(count);

function createLaneScan(count: number): LaneOrder {
  const fronts = new Float64Array(count);
  const row = new Uint32Array(count);
  let front = Number.POSITIVE_INFINITY;
  return {
    fronts,
    row,
    earliest: () => front,
    takeEarliest() {
      let taken = 0;
      for (let lane = 0; lane < count; lane++) if (fronts[lane] === front) row[taken++] = lane;
      return taken;
    },
    putBack() {
      front = Number.POSITIVE_INFINITY;
      for (let lane = 0; lane < count; lane++) if ((fronts[lane] as number) < front) front = fronts[lane] as number;
    },
  };
}

/**
 * A binary heap of channels by their fronts. Equal fronts at the top hang together, so that a row of any number of channels
 * is found by walking down from there. It is put back from the lowest place upwards, which takes about n steps for all of
 * n channels, and log n for one of them.
 */
function createLaneHeap(count: number): LaneOrder {
  const fronts = new Float64Array(count);
  /** The channel at each place. The children of a place p are at 2p + 1 and 2p + 2; neither is earlier. */
  const places = Uint32Array.from({ length: count }, (_, lane) => lane);
  /** The places that are taken, in ascending order. */
  const taken = places.slice();
  let takenCount = count;
  const row = new Uint32Array(count);

  const frontAt = (place: number) => fronts[places[place] as number] as number;

  function sink(from: number): void {
    const lane = places[from] as number;
    const front = fronts[lane] as number;
    let place = from;
    for (let child = 2 * place + 1; child < count; child = 2 * place + 1) {
      if (child + 1 < count && frontAt(child + 1) < frontAt(child)) child++;
      if (frontAt(child) >= front) break;
      places[place] = places[child] as number;
      place = child;
    }
    places[place] = lane;
  }

  /** Takes the places from the top down whose front is this one. */
  function take(front: number): void {
    taken[0] = 0;
    takenCount = 1;
    for (let i = 0; i < takenCount; i++) {
      const child = 2 * (taken[i] as number) + 1;
      if (child < count && frontAt(child) === front) taken[takenCount++] = child;
      if (child + 1 < count && frontAt(child + 1) === front) taken[takenCount++] = child + 1;
    }
  }

  return {
    fronts,
    row,
    earliest: () => frontAt(0),
    takeEarliest() {
      const front = frontAt(0);
      take(front);
      // Most rows are of one channel or of nearly all: neither is sorted.
      if (takenCount > 1 && takenCount * 4 >= count) {
        for (let lane = 0, at = 0; at < takenCount; lane++) if (fronts[lane] === front) row[at++] = lane;
        return takenCount;
      }
      for (let i = 0; i < takenCount; i++) row[i] = places[taken[i] as number] as number;
      if (takenCount > 1) row.subarray(0, takenCount).sort();
      return takenCount;
    },
    putBack() {
      for (let i = takenCount - 1; i >= 0; i--) sink(taken[i] as number);
      takenCount = 0;
    },
  };
}
