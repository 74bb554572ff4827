import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { transcriptsFolder } from './transcript.ts';

/** For each release the number of cases of each module that apply to it, all of which passed when this was written. */
export type CaseCounts = Record<string, Record<string, number>>;

const file = join(transcriptsFolder, 'cases.json');

export async function readCaseCounts(): Promise<CaseCounts> {
  return JSON.parse(await readFile(file, 'utf8')) as CaseCounts;
}

export async function writeCaseCounts(counts: CaseCounts): Promise<void> {
  await writeFile(file, `${JSON.stringify(counts, null, 2)}\n`);
}
