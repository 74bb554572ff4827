import type { ConnectionSource } from '../database/access.ts';
import type { Room } from '../database/disk.ts';
import type { Replica } from '../database/replica.ts';
import type { DoctorLimits } from './limits.ts';

/** `unknown`: it could not be checked, or is not configured. That is no fault. */
export type State = 'ok' | 'unknown' | 'warning' | 'fault';

/** The result of one check: a sentence, and advice where something should be done. */
export interface Result {
  state: State;
  says: string;
  advice?: string;
}

export interface Finding extends Result {
  check: string;
}

/** What is examined. */
export interface Patient {
  settings: {
    DATABASE_POOL_MAX: number;
    WORKERS: number;
    DISK_WARN_BYTES: number;
    DISK_REFUSE_BYTES: number;
    METRICS_OPEN: boolean;
    PUBLIC_URL?: string | undefined;
  };
  /** BACKUP_DIR and BACKUP_EVERY_HOURS. */
  backup: { folder: string | undefined; everyHours: number };
  /** A folder on the disk of the database, where that is known. */
  diskFolder(): string | undefined;
  roomOf(folder: string): Promise<Room>;
  /** Connections as the role that owns the tables. */
  owner: ConnectionSource;
  /** Connections as the role that the server logs in with. */
  login: ConnectionSource;
  /** Connections as the role that the server works with: it sees the rows of all organizations. */
  service: ConnectionSource;
  /** The replica that reads may go to, if there is one. */
  replica?: Pick<Replica, 'borrow'> | undefined;
  /** Why a server could not keep its promises on this database. */
  readiness(): Promise<string | undefined>;
  /** Whether connections keep their session: they lead to PostgreSQL itself, or to a pooler in session mode. */
  keepsSessions(): Promise<boolean>;
  /** The server's time, in milliseconds of Unix time. */
  now(): number;
  fetch: typeof fetch;
  limits: DoctorLimits;
}

/** Undefined where the check does not concern this server. */
export type Check = (patient: Patient) => Promise<Result | undefined>;

export const ok = (says: string): Result => ({ state: 'ok', says });
export const unknown = (says: string, advice?: string): Result => ({
  state: 'unknown',
  says,
  ...(advice && { advice }),
});
export const warning = (says: string, advice: string): Result => ({ state: 'warning', says, advice });
export const fault = (says: string, advice: string): Result => ({ state: 'fault', says, advice });

/** The first names, and how many more there are. */
export function list(names: readonly string[], { namesMax }: Pick<DoctorLimits, 'namesMax'>): string {
  const more = names.length - namesMax;
  return names.slice(0, namesMax).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
