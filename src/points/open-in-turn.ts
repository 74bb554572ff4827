import { GrowingBytes } from '../lib/growing-bytes.ts';
import { planChannelPoints } from './channel-points.ts';
import type { OpenRead } from './points.ts';
import type { Wanted } from './selection.ts';
import { type ChannelRow, type ReadMeans, sourceOf } from './stored-channel.ts';

/**
 * The points of one channel, in order of time. Close it before the next is opened.
 * @throws ApiError 404 when its stream is being removed, 422 for more chunks than a read may go through
 */
export function openChannel(means: ReadMeans, channel: ChannelRow, wanted: Wanted): Promise<OpenRead> {
  const { reading, limits } = means;
  return reading.plan(async () => {
    const read = await planChannelPoints(sourceOf(means, channel, new GrowingBytes()), wanted, limits);
    const { bytes, passingBytes } = read.footprint(limits);
    return { ...read, close: await reading.enlarge(bytes + passingBytes - limits.usualBytesMax) };
  });
}

/** Channels that are read one after the other. */
export interface ChannelsInTurn {
  /** Opens the channel at a position. Close it before the next is opened. */
  open(position: number): Promise<OpenRead>;
  /** Gives back what has been got ready and is not asked for any more. */
  close(): Promise<void>;
}

/**
 * Opens channels one after the other. Of a down-sampled read, the points of the next ones are chosen while one is being written:
 * PostgreSQL works for one channel while this process works for another. What is got ready is counted like all that is beyond the
 * usual, and takes only what is free: who waits for room holds none.
 * @throws as openChannel does, when one is opened
 */
export function openInTurn(means: ReadMeans, channels: readonly ChannelRow[], wanted: Wanted): ChannelsInTurn {
  const ahead = new Map<number, Promise<OpenRead | undefined>>();
  const isAhead = wanted.selection.max_points !== undefined && channels.length > 1;
  const close = async () => {
    const all = [...ahead.values()];
    ahead.clear();
    for (const read of all) (await read)?.close();
  };
  const getReady = (from: number) => {
    const end = Math.min(from + means.limits.channelsAheadMax, channels.length - 1);
    for (let at = from; at <= end; at++) {
      if (!ahead.has(at)) ahead.set(at, openAhead(means, channels[at] as ChannelRow, wanted));
    }
  };
  return {
    async open(position) {
      if (isAhead) getReady(position);
      const read = await ahead.get(position);
      ahead.delete(position);
      if (read !== undefined) return read;
      await close();
      return openChannel(means, channels[position] as ChannelRow, wanted);
    },
    close,
  };
}

/** @returns undefined where there is no room for it now, or it fails: then it is opened again in its turn */
async function openAhead(means: ReadMeans, channel: ChannelRow, wanted: Wanted): Promise<OpenRead | undefined> {
  const { reading, limits } = means;
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
    if (give === undefined) throw new Error('there is no room for it ahead');
    return give;
  };
  const unwaiting = { ...reading, enlarge };
  const image = new GrowingBytes();
  const plan = async () => {
    const read = await planChannelPoints(sourceOf({ ...means, reading: unwaiting }, channel, image), wanted, limits);
    const { bytes, passingBytes } = read.footprint(limits);
    return mayTake(bytes + passingBytes - limits.usualBytesMax) ? read : undefined;
  };
  try {
    const read = mayTake(limits.usualBytesMax) ? await reading.tryPlan(plan) : undefined;
    if (read !== undefined) {
      await read.getReady?.();
      // It may wait for long behind one that a slow client reads: only what it still needs is held.
      image.shrink(0);
      close();
      if (mayTake(read.footprint(limits).chosenBytes)) return { ...read, close };
    }
  } catch {
    // Nobody may ask for it any more.
  }
  close();
  return undefined;
}
