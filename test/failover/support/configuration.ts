import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MachineOptions } from './machine.ts';

const folderOfFiles = new URL('../../../deploy/high-availability/', import.meta.url);

/** By which the test moves the leadership of etcd. */
const forTheTest = 'enable-grpc-gateway: true\n';

export interface Configuration {
  machines: MachineOptions[];
  haproxy: string;
  /** Where HAProxy listens: host:port. */
  haproxyAddress: string;
  passwords: { superuser: string; owner: string; app: string };
}

/** The files of deploy/high-availability with addresses of a network of loopback (three numbers), new passwords, and paths below a folder. */
export async function readConfiguration(network: string, folder: string): Promise<Configuration> {
  const [etcd, patroni, haproxy] = (await Promise.all(
    ['etcd.yml', 'patroni.yml', 'haproxy.cfg'].map((name) => readFile(new URL(name, folderOfFiles), 'utf8')),
  )) as [string, string, string];
  const secret = () => randomBytes(12).toString('hex');
  const passwords = { superuser: secret(), owner: secret(), app: secret() };
  const replicator = secret();
  const haproxyAddress = `${network}.9:5000`;
  const machines = [1, 2, 3].map((number): MachineOptions => {
    const name = `machine-${number}`;
    const own = join(folder, name);
    return {
      name,
      address: `${network}.${number}`,
      folder: own,
      etcdConfig: `${exchange(forMachine(etcd, number), {
        '/var/lib/etcd/metrology': join(own, 'etcd'),
        '10.0.0.': `${network}.`,
      })}${forTheTest}`,
      patroniConfig: exchange(forMachine(patroni, number), {
        '/var/lib/postgresql/15/metrology': join(own, 'postgresql'),
        '/var/lib/postgresql/metrology.pgpass': join(own, 'pgpass'),
        '/var/run/postgresql': own,
        'password-of-postgres': passwords.superuser,
        'password-of-replicator': replicator,
        // Whoever connects to an address of loopback comes from 127.0.0.1.
        '10.0.0.0/24': '127.0.0.0/8',
        '10.0.0.': `${network}.`,
      }),
    };
  });
  return {
    machines,
    haproxy: exchange(haproxy, { '127.0.0.1:5000': haproxyAddress, '10.0.0.': `${network}.` }),
    haproxyAddress,
    passwords,
  };
}

/** The files are written for the first machine; where another one differs, the line says so. */
function forMachine(text: string, number: number): string {
  return text
    .split('\n')
    .map((line) =>
      line.endsWith('# this machine')
        ? line.replace(/machine-1|10\.0\.0\.1/, (found) => found.replace(/1$/, String(number)))
        : line,
    )
    .join('\n');
}

/** @throws when a text that is to be exchanged is not there: then the file has changed and this test has not */
function exchange(text: string, exchanges: Record<string, string>): string {
  return Object.entries(exchanges).reduce((changed, [from, to]) => {
    if (!changed.includes(from)) throw new Error(`"${from}" is not in the file`);
    return changed.replaceAll(from, to);
  }, text);
}
