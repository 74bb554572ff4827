import { readFileSync } from 'node:fs';
import { postmasterPid } from '../../faults/support/processes.ts';

/** @returns what tells the processes of the PostgreSQL on a data folder, the postmaster first */
export function postgresPids(dataDir: string): () => number[] {
  return () => {
    const postmaster = postmasterPid(dataDir);
    const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8');
    return [postmaster, ...children.trim().split(' ').filter(Boolean).map(Number)];
  };
}
