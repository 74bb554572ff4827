import { hiddenAnswers } from './suites/1-hidden-answers.ts';
import { kills } from './suites/2-kills.ts';
import { racingWriters } from './suites/3-racing-writers.ts';
import { databaseTrouble } from './suites/5-database-trouble.ts';
import { restarts } from './suites/6-restarts.ts';
import { backup } from './suites/9-backup.ts';
import type { Run } from './support/run.ts';

/** A fault by the name of its file; `builtFolder` holds the program. */
export const faults: Record<string, (run: Run, builtFolder: string) => Promise<void>> = {
  'hidden-answers': hiddenAnswers,
  kills,
  'racing-writers': racingWriters,
  'database-trouble': databaseTrouble,
  restarts,
  backup,
};
