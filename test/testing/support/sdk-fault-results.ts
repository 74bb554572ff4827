import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

/** What a release did with its second chunk of three under a fault. */
export interface FaultResult {
  fault: string;
  call: 'run' | 'push' | 'finalize';
  /** How often the chunk was sent. */
  sent: number;
  /** Seconds between one attempt and the next, to the half second. */
  pausesS: number[];
  /** Whether all points were stored in the end. */
  isComplete: boolean;
  /** What the caller got: `nothing`, or the name and text of the error. */
  sees: string;
}

/** Written by `npm run compatibility`. */
export const resultsFile = resolve(import.meta.dirname, 'sdk-fault-results.json');

/** By release, oldest first. */
export async function readFaultResults(): Promise<Record<string, FaultResult[]>> {
  return JSON.parse(await readFile(resultsFile, 'utf8'));
}
