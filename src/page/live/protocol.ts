/** The events of the live routes, and the messages between a tab and the shared worker. */

export interface LiveChannel {
  channel_name: string;
  units: string | null;
  chunk_count: number;
  point_count: number;
  last_chunk_index: number;
  changed_at: string;
  /** First and last time, in Unix ms, that has changed since the previous event. Null when nothing with a time has. */
  span: [number, number] | null;
  latest: LatestReading | null;
}

/** The newest reading of a channel. */
export interface LatestReading {
  /** Unix seconds. */
  timestamp: number | null;
  value: number | null;
}

export type RunStatus = 'live' | 'interrupted' | 'finalized' | 'deleted';

/** Event `channels`: the channels of a run that have changed. The first one of a connection has all channels. */
export interface ChannelsEvent {
  data_id: string;
  channels: LiveChannel[];
  status: RunStatus;
}

/** Event `status`. */
export interface StatusEvent {
  data_id: string;
  status: RunStatus;
}

/** Event `run`, for the list: one for each run that has changed. */
export interface RunEvent {
  data_id: string;
  point_count: number;
  last_chunk_at: string | null;
  status: RunStatus;
  missing_chunk_count: number | null;
  seconds: number | null;
}

/** What a tab subscribes to: some runs, and whether the list of runs too. */
export interface Wish {
  base: string;
  dataIds: string[];
  list: boolean;
}

/**
 * From a tab: it subscribes to something else, it is still open, it wants lost connections to be made again now, or it
 * closes. All but the last carry the wish, so that a tab that was taken for closed, as one that slept, subscribes again.
 */
export type TabMessage = { kind: 'want' | 'here' | 'again'; wish: Wish } | { kind: 'bye' };

/** Whether events arrive. `lost` carries since when (Unix ms) and why; `unknown` is a connection whose runs do not exist. */
export type LineState =
  | { kind: 'open' }
  | { kind: 'connecting' }
  | { kind: 'lost'; sinceMs: number; why: string }
  | { kind: 'unknown' }
  | { kind: 'signed-out' };

export type WorkerMessage = { kind: 'event'; name: string; data: string } | { kind: 'line'; state: LineState };
