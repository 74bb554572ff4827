/*
 * What goes over the wire to and from the control routes, as plain types: whoever imports `metrology-server/testing` needs
 * no package but this one to read them. schemas.ts says the same to the server, and is held against these by the compiler.
 */

/** A request matches when all that is said fits it. */
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

/** `before`: the body is read, nothing is stored. `after_commit`: it was carried out, and the answer is spoiled. */
export type When = 'before' | 'after_commit';

/** A rule: without nth, every, times and probability every request that matches is hit. */
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
  /** Requests that the match fits, since the rule was made. */
  matched: number;
  /** Requests to which the action was done. */
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
  /** By names in lower case; of the key its beginning only. */
  headers: unknown;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into bodies of every shape.
  body: any;
  /** What was answered; null as long as, and where, nothing was. */
  status: number | null;
  duration_ms: number | null;
  /** Whether the answer went out whole. */
  is_complete: boolean;
  fault: { id: number; action: Action } | null;
}
