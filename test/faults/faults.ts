import { hiddenAnswers } from './suites/1-hidden-answers.ts';
import { kills } from './suites/2-kills.ts';
import { racingWriters } from './suites/3-racing-writers.ts';
import { cutConnections } from './suites/4-cut-connections.ts';
import { databaseTrouble } from './suites/5-database-trouble.ts';
import { restarts } from './suites/6-restarts.ts';
import { finalizeAndStarts } from './suites/7-finalize-and-starts.ts';
import { model } from './suites/8-model.ts';
import { backup } from './suites/9-backup.ts';
import { overload } from './suites/10-overload.ts';
import type { Run } from './support/run.ts';

/** A fault by the name of its file; `builtFolder` holds the program. */
export const faults: Record<string, (run: Run, builtFolder: string) => Promise<void>> = {
  'hidden-answers': hiddenAnswers,
  kills,
  'racing-writers': racingWriters,
  'cut-connections': cutConnections,
  'database-trouble': databaseTrouble,
  restarts,
  'finalize-and-starts': finalizeAndStarts,
  model,
  backup,
  overload,
};
