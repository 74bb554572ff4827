import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine } from './machine.ts';

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

const statusOf = (machine: Machine) => ask<Status>(machine, 'maintenance/status');
const isLeader = ({ header, leader }: Status) => header.member_id === leader;

/** Gives a machine etcd's leadership, as an election may at any time. @throws when it does not lead after ten seconds */
export async function leadEtcd(machines: readonly Machine[], machine: Machine): Promise<void> {
  const { header } = await statusOf(machine);
  const giveUpAt = performance.now() + 10_000;
  while (!isLeader(await statusOf(machine))) {
    if (performance.now() > giveUpAt) throw new Error(`${machine.name} does not lead etcd`);
    for (const one of machines) {
      if (!isLeader(await statusOf(one))) continue;
      await ask(one, 'maintenance/transfer-leadership', { targetID: header.member_id });
    }
    await sleep(100);
  }
}
