/*
 * The data of the control routes as plain types, so that a program which imports `metrology-server/testing` needs no
 * further package for them. schemas.ts describes the same for the server, and the compiler checks that both are equal.
 */

/** A request matches when all given conditions hold. */
export interface Match {
  method?: string;
  /** Path without the query: `*` within one part of it, `**` any number of parts, `?` one character. */
  path?: string;
  organization_id?: string;
  data_id?: string;
  channel_name?: string;
  chunk_index?: number;
}

/** What happens to a request that the rule hits. */
export type Action =
  | { status: number; headers?: Record<string, string>; body?: unknown }
  | { delay_ms: number }
  | { hang: true }
  | { reset: true }
  | { truncate_bytes: number }
  | { drip_bytes_per_s: number };

/**
 * `before`: the body is read and nothing is stored. `after_commit`: the request was carried out, and its answer is spoiled.
 */
export type When = 'before' | 'after_commit';

/** A rule. Without nth, every, times and probability it hits every request that matches. */
export interface FaultBody {
  match?: Match;
  nth?: number;
  every?: number;
  times?: number;
  probability?: number;
  when?: When;
  action: Action;
}

export interface Fault {
  id: number;
  rule: FaultBody;
  /** Requests that have matched since the rule was added. */
  matched: number;
  /** Requests to which the action was applied. */
  hit: number;
}

export interface JournalQuery extends Match {
  status?: number;
  /** Whether a rule has hit it. */
  faulty?: boolean;
  /** Only requests with a higher number. */
  after?: number;
  count?: number;
  wait_s?: number;
}

export interface JournalEntry {
  /** Counted from 1 in the order of arrival. */
  number: number;
  at: string;
  organization_id: string | null;
  method: string;
  path: string;
  query: unknown;
  /** Names are in lower case. Of the key only its beginning is kept. */
  headers: unknown;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into bodies of every shape.
  body: any;
  /** The status of the answer; null while there is none, and if there never was one. */
  status: number | null;
  duration_ms: number | null;
  /** Whether the answer was sent completely. */
  is_complete: boolean;
  fault: { id: number; action: Action } | null;
}
