import { userInfo } from 'node:os';
import type { Actor } from '../database/audit.ts';

/** Whoever runs a command, by the account of the system: what the audit log says of him. */
export function operatorHere(): Actor {
  try {
    return { kind: 'operator', userName: userInfo().username };
  } catch {
    // An account that the system has no name for, as in a container that was given a number.
    return { kind: 'operator', userName: `uid ${process.getuid?.() ?? 'unknown'}` };
  }
}
