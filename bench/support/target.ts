import type { Format } from './payload.ts';

/** Where requests of a format go, and what they are answered with. */
export interface Route {
  path: string;
  headers: Record<string, string>;
  expectedStatus: number;
}

/** A server under load: a process of its own on 127.0.0.1 with data of its own. */
export interface Target {
  kind: TargetKind;
  name: string;
  /** What its 2xx promises. */
  durability: string;
  url: string;
  pid: number;
  key: string;
  routes: Partial<Record<Format, Route>>;
  openStreams(count: number, pointsPerChunk: number): Promise<string[]>;
  /** Points that are stored now; for one that stores none, points that it was sent. */
  storedPoints(): Promise<number>;
  /** By what a command finds its database, where it is a server of this project. */
  settings?: Record<string, string>;
  /** Its PostgreSQL, where it has one. */
  sql?: Sql;
  /** Sends one `copy … to stdout` there and throws away what comes. @returns how many bytes that was */
  copyOut?: (statement: string) => Promise<number>;
  stop(): Promise<void>;
}

export type TargetKind =
  | 'ours'
  | 'packed'
  | 'as-sent'
  | 'without-overviews'
  | 'ceiling'
  | 'straightforward'
  | 'victoria'
  | 'influx'
  | 'discard';

/** Runs one statement. int8 has to be cast to float8. */
export type Sql = <Row extends Record<string, unknown>>(text: string, values?: unknown[]) => Promise<Row[]>;

/** A baseline that is not on this machine. */
export class NotInstalled extends Error {}
