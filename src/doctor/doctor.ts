/**
 * Checks a server: its settings, its database, its surroundings, and what will cause trouble later. It changes nothing.
 */

import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';
import * as cluster from './cluster-checks.ts';
import * as database from './database-checks.ts';
import type { Check, Finding, Patient, State } from './findings.ts';
import * as surroundings from './surroundings-checks.ts';

type NamedCheck = readonly [name: string, check: Check];

/** In the order in which they are shown. */
export const checks: readonly NamedCheck[] = [
  ['settings', surroundings.settings],
  ['versions', database.versions],
  ['standing', database.readiness],
  ['durability', database.durability],
  ['disk', surroundings.disk],
  ['write-ahead log', database.writeAheadLog],
  ['replica', database.replica],
  ['login', database.login],
  ['clocks', database.clocks],
  ['indexes', database.indexes],
  ['statistics', database.statistics],
  ['connections', database.connections],
  ['transactions', database.transactions],
  ['nodes', cluster.nodes],
  ['node settings', cluster.nodeSettings],
  ['node clocks', cluster.nodeClocks],
  ['node transactions', cluster.nodeTransactions],
  ['pooler', database.pooler],
  ['proxy', surroundings.proxy],
  ['backup', surroundings.backup],
  ['keys', database.keys],
];

/** One finding for each check that concerns this server, one after another. Never rejects. */
export async function examine(patient: Patient, chosen: readonly NamedCheck[] = checks): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [name, check] of chosen) {
    const result = await check(patient).catch((error: Error) => {
      const state: State = hasSqlstate(error, sqlstates.insufficientPrivilege) ? 'unknown' : 'fault';
      return { state, says: `This could not be looked at: ${error.message}.` };
    });
    if (result !== undefined) findings.push({ check: name, ...result });
  }
  return findings;
}

/** The exit code of the command: 0 all is well, 1 there are warnings, 2 there are faults. `unknown` does not count. */
export function exitCodeOf(findings: readonly Finding[]): 0 | 1 | 2 {
  if (findings.some(({ state }) => state === 'fault')) return 2;
  return findings.some(({ state }) => state === 'warning') ? 1 : 0;
}

/** The output for people: a line for each check, advice below it, and a last line with the counts. */
export function reportOf(findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const count = (wanted: State) => findings.filter(({ state }) => state === wanted).length;
  return [
    ...findings.flatMap(({ check, state, says, advice }) => [
      `${marks[state]}  ${check.padEnd(width)}  ${says}`,
      ...(advice === undefined ? [] : [`         ${' '.repeat(width)}  -> ${advice}`]),
    ]),
    '',
    `${count('ok')} fine, ${count('unknown')} not known, ${count('warning')} warnings, ${count('fault')} faults`,
  ];
}

const marks: Record<State, string> = { ok: 'ok     ', unknown: '?      ', warning: 'WARNING', fault: 'FAULT  ' };
