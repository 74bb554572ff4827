/** What the live routes tell, and what a tab and the shared worker say to each other. */

export interface LiveChannel {
  channel_name: string;
  units: string | null;
  chunk_count: number;
  point_count: number;
  last_chunk_index: number;
  changed_at: string;
  /** Unix ms of what has changed since the event before. Null: nothing with a time. */
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

/** Event `channels`: what has changed in a run. The first one of a connection says all. */
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
}

/** What a tab wants to be told of. `bye` when it goes. */
export type TabMessage =
  | { kind: 'want'; base: string; dataIds: string[]; list: boolean }
  | { kind: 'here' }
  | { kind: 'again' }
  | { kind: 'bye' };

/** Whether events arrive. `lost` carries since when (Unix ms) and why. */
export type LineState =
  | { kind: 'open' }
  | { kind: 'connecting' }
  | { kind: 'lost'; sinceMs: number; why: string }
  | { kind: 'signed-out' };

export type WorkerMessage = { kind: 'event'; name: string; data: string } | { kind: 'line'; state: LineState };
