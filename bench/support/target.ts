import type { Format } from './payload.ts';

/** The address for requests of a format, their headers, and the expected status. */
export interface Route {
  path: string;
  headers: Record<string, string>;
  expectedStatus: number;
}

/** A server to be measured: a process of its own on 127.0.0.1 with data of its own. */
export interface Target {
  kind: TargetKind;
  name: string;
  /** What is guaranteed when it has answered 2xx. */
  durability: string;
  url: string;
  pid: number;
  key: string;
  routes: Partial<Record<Format, Route>>;
  openStreams(count: number, pointsPerChunk: number): Promise<string[]>;
  /** The number of stored points; for a server that stores nothing, the points that it was sent. */
  storedPoints(): Promise<number>;
  /** The settings by which a command finds the database, if it is a server of this project. */
  settings?: Record<string, string>;
  /** Runs a statement on its PostgreSQL, if it has one. */
  sql?: Sql;
  /** Runs one `copy … to stdout` there and discards the output. @returns its bytes */
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

/** Runs one statement. It must cast int8 to float8, since pg returns int8 as text. */
export type Sql = <Row extends Record<string, unknown>>(text: string, values?: unknown[]) => Promise<Row[]>;

/** Thrown when a program that a row needs is not installed on this machine. */
export class NotInstalled extends Error {}
