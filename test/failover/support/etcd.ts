import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine } from './machine.ts';

/** Who leads etcd, and who shall, through the JSON gateway of its members. */

interface Status {
  header: { member_id: string };
  leader?: string;
  raftTerm: string;
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

const statusOf = (machine: Machine) => ask<Status>(machine, 'maintenance/status');
const isLeader = ({ header, leader }: Status) => header.member_id === leader;

/** Gives a machine the leadership, as an election may at any time, and comes back when it knows of it. */
export async function leadEtcd(machines: readonly Machine[], machine: Machine): Promise<void> {
  const before = await statusOf(machine);
  if (isLeader(before)) return;
  for (const one of machines) {
    if (one === machine || !isLeader(await statusOf(one))) continue;
    await ask(one, 'maintenance/transfer-leadership', { targetID: before.header.member_id });
  }
  const hasChanged = async () => {
    const { raftTerm, leader } = await statusOf(machine);
    return Number(raftTerm) > Number(before.raftTerm) && Number(leader ?? 0) !== 0;
  };
  await until(hasChanged, `etcd of ${machine.name} knows of no new leader`);
}

/** @throws when the machine still leads after ten seconds */
export const untilAnotherLeads = (machine: Machine) =>
  until(async () => !isLeader(await statusOf(machine)), `${machine.name} leads etcd and is the primary`);

async function until(is: () => Promise<boolean>, sentence: string): Promise<void> {
  const giveUpAt = performance.now() + 10_000;
  while (!(await is())) {
    if (performance.now() > giveUpAt) throw new Error(sentence);
    await sleep(100);
  }
}
