/** Several channels side by side, ordered by the time of their next point. */
export interface LaneOrder {
  /** The time of each channel's next point, infinite at its end. The caller changes only those of taken channels. */
  fronts: Float64Array;
  /** The earliest front. */
  earliest(): number;
  /**
   * Takes all channels whose front is the earliest, and lists them in `row`, in ascending order.
   * @returns how many they are
   */
  takeEarliest(): number;
  row: Uint32Array;
  /** Puts the taken channels back, by their new fronts. At the beginning all channels are taken. */
  putBack(): void;
}

/**
 * Up to this many channels, scanning all of them for every row costs a third of a heap. At 100 channels a scan costs more
 * than a heap.
 */
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
 * A binary heap of channels by their fronts. Channels with the earliest front are connected at the top of the heap, so a
 * row is found by walking down from there. Taken places are put back from the lowest upwards: about n steps for all of n
 * channels, and log n for one.
 */
function createLaneHeap(count: number): LaneOrder {
  const fronts = new Float64Array(count);
  /** The channel at each place. A place p has its children at 2p + 1 and 2p + 2, and neither has an earlier front. */
  const places = Uint32Array.from({ length: count }, (_, lane) => lane);
  /** The taken places, in ascending order. */
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

  /** Takes all places with this front, from the top down. */
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
      // Most rows have one channel or nearly all of them. Neither kind has to be sorted.
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
