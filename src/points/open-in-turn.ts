import { GrowingBytes } from '../lib/growing-bytes.ts';
import { planChannelPoints } from './channel-points.ts';
import type { OpenRead } from './points.ts';
import type { Wanted } from './selection.ts';
import { type ChannelRow, type ReadDependencies, sourceOf } from './stored-channel.ts';

/**
 * Opens the points of one channel, in order of time. Close it before the next channel is opened, or that
 * may wait for memory which this one holds.
 * @throws ApiError 404 when its stream is being removed, 422 for more chunks than a read may go through
 */
export function openChannel(deps: ReadDependencies, channel: ChannelRow, wanted: Wanted): Promise<OpenRead> {
  const { reading, limits } = deps;
  return reading.plan(async () => {
    const read = await planChannelPoints(sourceOf(deps, channel, new GrowingBytes()), wanted, limits);
    const { bytes, passingBytes } = read.footprint(limits);
    return { ...read, close: await reading.enlarge(bytes + passingBytes - limits.usualBytesMax) };
  });
}

/** Channels that are read one after the other. */
export interface ChannelsInTurn {
  /** Opens the channel at a position. Close it before the next is opened. */
  open(position: number): Promise<OpenRead>;
  /** Frees the memory of channels that were prepared ahead and will not be opened. */
  close(): Promise<void>;
}

/**
 * Opens channels one after the other. A down-sampled read prepares the next channels while one is written: it already chooses their
 * points. So PostgreSQL works on one channel while this process works on another. All memory of a prepared channel is counted as
 * memory beyond the usual. A channel is prepared only if that memory is free now, because a read that waits for memory must hold none.
 * @throws the errors of openChannel, from `open`
 */
export function openInTurn(deps: ReadDependencies, channels: readonly ChannelRow[], wanted: Wanted): ChannelsInTurn {
  const ahead = new Map<number, Promise<OpenRead | undefined>>();
  const isAhead = wanted.selection.max_points !== undefined && channels.length > 1;
  const close = async () => {
    const all = [...ahead.values()];
    ahead.clear();
    for (const read of all) (await read)?.close();
  };
  const getReady = (from: number) => {
    const end = Math.min(from + deps.limits.channelsAheadMax, channels.length - 1);
    for (let at = from; at <= end; at++) {
      if (!ahead.has(at)) ahead.set(at, openAhead(deps, channels[at] as ChannelRow, wanted));
    }
  };
  return {
    async open(position) {
      if (isAhead) getReady(position);
      const read = await ahead.get(position);
      ahead.delete(position);
      if (read !== undefined) return read;
      await close();
      return openChannel(deps, channels[position] as ChannelRow, wanted);
    },
    close,
  };
}

/** Prepares a channel. @returns undefined if there is no free memory for it, or if it fails: then it is opened again in its turn */
async function openAhead(deps: ReadDependencies, channel: ChannelRow, wanted: Wanted): Promise<OpenRead | undefined> {
  const { reading, limits } = deps;
  const held: (() => void)[] = [];
  const close = () => {
    for (const give of held) give();
  };
  const mayTake = (bytes: number) => {
    const give = reading.tryEnlarge(bytes);
    if (give !== undefined) held.push(give);
    return give !== undefined;
  };
  const enlarge = async (bytes: number) => {
    const give = reading.tryEnlarge(bytes);
    if (give === undefined) throw new Error('no memory is free to prepare this channel');
    return give;
  };
  const unwaiting = { ...reading, enlarge };
  const image = new GrowingBytes();
  const plan = async () => {
    const read = await planChannelPoints(sourceOf({ ...deps, reading: unwaiting }, channel, image), wanted, limits);
    const { bytes, passingBytes } = read.footprint(limits);
    return mayTake(bytes + passingBytes - limits.usualBytesMax) ? read : undefined;
  };
  try {
    const read = mayTake(limits.usualBytesMax) ? await reading.tryPlan(plan) : undefined;
    if (read !== undefined) {
      await read.getReady?.();
      // It may wait long behind a channel that a slow client reads, so it keeps only the memory that it still needs.
      image.shrink(0);
      close();
      if (mayTake(read.footprint(limits).chosenBytes)) return { ...read, close };
    }
  } catch {
    // The channel may never be asked for. If it is, it is opened again and the error shows then.
  }
  close();
  return undefined;
}
