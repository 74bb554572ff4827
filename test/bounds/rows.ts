import { heads } from './rows/heads.ts';
import { keys } from './rows/keys.ts';
import { slowLines } from './rows/slow-lines.ts';
import { strangers } from './rows/strangers.ts';
import type { Row } from './support/ground.ts';

/** All that is tried, by kind. */
export const groups: { name: string; rows: Row[] }[] = [
  { name: 'strangers', rows: strangers },
  { name: 'keys', rows: keys },
  { name: 'slow-lines', rows: slowLines },
  { name: 'heads', rows: heads },
];
