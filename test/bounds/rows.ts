import { catalogue } from './rows/catalogue.ts';
import { costlyReads } from './rows/costly-reads.ts';
import { database } from './rows/database.ts';
import { fairness } from './rows/fairness.ts';
import { heads } from './rows/heads.ts';
import { heavyBodies } from './rows/heavy-bodies.ts';
import { heldReads } from './rows/held-reads.ts';
import { ingest } from './rows/ingest.ts';
import { keys } from './rows/keys.ts';
import { memory } from './rows/memory.ts';
import { processes } from './rows/process.ts';
import { reads } from './rows/reads.ts';
import { slowLines } from './rows/slow-lines.ts';
import { strangers } from './rows/strangers.ts';
import type { Row } from './support/ground.ts';

/** All that is tried, by kind. */
export const groups: { name: string; rows: Row[] }[] = [
  { name: 'strangers', rows: strangers },
  { name: 'keys', rows: keys },
  { name: 'slow-lines', rows: slowLines },
  { name: 'heads', rows: heads },
  { name: 'costly-reads', rows: costlyReads },
  { name: 'fairness', rows: fairness },
  { name: 'catalogue', rows: catalogue },
  { name: 'reads', rows: reads },
  { name: 'held-reads', rows: heldReads },
  { name: 'ingest', rows: ingest },
  { name: 'database', rows: database },
  { name: 'process', rows: processes },
  { name: 'memory', rows: memory },
  { name: 'heavy-bodies', rows: heavyBodies },
];
