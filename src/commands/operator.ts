import { userInfo } from 'node:os';
import type { Actor } from '../database/audit.ts';

/** Who runs a command, for the audit log: the name of the system's account. */
export function operatorHere(): Actor {
  try {
    return { kind: 'operator', userName: userInfo().username };
  } catch {
    // The account has no name, as in a container that runs under a number only.
    return { kind: 'operator', userName: `uid ${process.getuid?.() ?? 'unknown'}` };
  }
}
