import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, inject, test } from 'vitest';
import { shown } from '../faults/support/run.ts';
import { isRunning } from '../support/built-server.ts';
import { groups } from './rows.ts';
import { type Row, runRow, type Scale, type Told, untilCalm } from './support/ground.ts';
import { type Lab, openLab, type Site } from './support/lab.ts';
import { openSites, type Sites } from './support/sites.ts';
import { marginOf, stallOf, startWitness, type Witness } from './support/witness.ts';

const scale = (process.env.BOUNDS_SCALE ?? 'small') as Scale;
const only = process.env.BOUNDS_ONLY?.split(',');

const chosen = groups
  .map(({ name, rows }) => ({
    name,
    rows: rows.filter((row) => only === undefined || only.includes(name) || only.includes(row.name)),
  }))
  .filter(({ rows }) => rows.length > 0);
if (chosen.length === 0) throw new Error(`There is no row or group ${only?.join()}; --list names all.`);

let lab: Lab;
/** By what stands in `own`; rows without it share one. */
let sites: Sites;
let witness: Witness;
let marginMs = 0;
const memoryMax = promisedBytes();

beforeAll(async () => {
  goFirst();
  lab = await openLab(inject('builtFolder'));
  sites = openSites(lab);
  witness = startWitness();
  // All at once, so that no row waits for its server; those that wait for their rows do nothing.
  await sites.open([undefined, ...chosen.flatMap(({ rows }) => rows.map(({ own }) => own))]);
  marginMs = await calibrate(await sites.take(undefined));
});

afterAll(async () => {
  witness?.close();
  await sites?.stop();
  await lab?.remove();
});

for (const { name, rows } of chosen) {
  describe(name, () => {
    for (const row of rows) test(`${row.name}: ${row.about}`, () => judge(row));
  });
}

/**
 * A row that has failed is run once more, and fails when it does so again: a fault of the server repeats, what a machine of two
 * processors does by chance does not. One in a hundred by chance would else be one in each run of a hundred rows.
 */
async function judge(row: Row): Promise<void> {
  const first = await runOnce(row);
  if (first.length === 0) return;
  console.info(`again  ${row.name}`);
  const second = await runOnce(row);
  if (second.length > 0) throw new Failure(['twice, at last:', ...second].join('\n'));
}

/** @returns what is blamed */
async function runOnce(row: Row): Promise<string[]> {
  const startedAt = performance.now();
  const { blamed, notes, spentMs } = await runOnSite(row);
  const seconds = (ms: number) => shown(ms / 1_000);
  const parts = `${seconds(spentMs.before)} before, ${seconds(spentMs.watched)} watched, ${seconds(spentMs.after)} after`;
  const all = `${seconds(performance.now() - startedAt)} s, ${parts}`;
  console.info(`${blamed.length === 0 ? 'holds' : 'FAILS'}  ${row.name} (${all}): ${notes.join('; ')}`);
  for (const what of blamed) console.info(`         ${what.replaceAll('\n', '\n         ')}`);
  return blamed;
}

/** The server's fault, so no line of the suite is shown with it. */
class Failure extends Error {
  override stack = '';
}

async function runOnSite(row: Row): Promise<Told> {
  const { own } = row;
  const site = await sites.take(own);
  const told = await runRow(row, { lab, site, scale, witness, marginMs, memoryMax });
  const isCalm = own === undefined && isRunning(site.pid()) && (await untilCalm(site, lab.keys.third)) !== undefined;
  if (own === undefined && !isCalm) told.blamed.push('it does not serve within 5 s after the attackers have gone');
  // So that no row pays for the one before, and one that is run again begins anew.
  const goesOn = typeof own === 'string' ? told.blamed.length === 0 : isCalm;
  if (!goesOn) await sites.drop(own);
  return told;
}

/** What is started from here goes before other programs of the machine; only root may say so. */
function goFirst(): void {
  try {
    setPriority(-10);
  } catch {
    // Then it is measured as it is.
  }
}

/** What an idle server shows on this machine now. */
async function calibrate(shared: Site): Promise<number> {
  await witness.begin({
    ...{ port: shared.port(), pid: shared.pid() },
    ...{ key: lab.keys.other, clockFile: shared.clockFile },
  });
  await sleep(2_000);
  const idle = await witness.end();
  const margin = marginOf(idle);
  console.info(
    `an idle server: chunk ${shown(idle.chunks.worstMs)} ms at worst, stall ${shown(stallOf(idle))} ms, ` +
      `memory ${shown(idle.residentMax / 2 ** 20)} MiB; a stall may last ${shown(100 + margin)} ms`,
  );
  return margin;
}

/** The ceiling of memory in docs/security.md, `<!-- memory ceiling: 1,600 MiB -->`, in bytes. */
function promisedBytes(): number {
  const text = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');
  const [, mebibytes] = /<!-- memory ceiling: ([\d,]+) MiB -->/.exec(text) ?? [];
  if (mebibytes === undefined) throw new Error('docs/security.md says no ceiling of memory');
  return Number(mebibytes.replaceAll(',', '')) * 2 ** 20;
}
