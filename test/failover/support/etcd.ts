import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine } from './machine.ts';

/** Who leads etcd, and who shall, through the JSON gateway of its members. */

interface Status {
  header: { member_id: string };
  leader?: string;
}

async function ask<Answer>({ address }: Machine, path: string, body: object = {}): Promise<Answer> {
  const answer = await fetch(`http://${address}:2379/v3/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(2_000),
  });
  if (!answer.ok) throw new Error(`etcd of ${address}, ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Answer;
}

async function leads(machine: Machine): Promise<boolean> {
  const { header, leader } = await ask<Status>(machine, 'maintenance/status');
  return header.member_id === leader;
}

/** Gives a machine the leadership, as an election may at any time. @throws when it did not get it */
export async function leadEtcd(machines: readonly Machine[], machine: Machine): Promise<void> {
  for (const one of machines) {
    if (one === machine || !(await leads(one))) continue;
    const { header } = await ask<Status>(machine, 'maintenance/status');
    // Answered when it has the leadership.
    await ask(one, 'maintenance/transfer-leadership', { targetID: header.member_id });
  }
}

/** @throws when the machine still leads after ten seconds */
export const untilAnotherLeads = (machine: Machine) =>
  until(async () => !(await leads(machine)), `${machine.name} leads etcd and is the primary`);

async function until(is: () => Promise<boolean>, sentence: string): Promise<void> {
  const giveUpAt = performance.now() + 10_000;
  while (!(await is())) {
    if (performance.now() > giveUpAt) throw new Error(sentence);
    await sleep(100);
  }
}
