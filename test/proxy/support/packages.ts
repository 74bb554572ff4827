import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runToEnd } from '../../sdk/support/run-to-end.ts';

const installMsMax = 300_000;

/** Programs that the suites run, and the Debian package of each. */
const packages = { nginx: 'nginx', haproxy: 'haproxy', stunnel: 'stunnel4', openssl: 'openssl' } as const;
export type ProgramName = keyof typeof packages;

/** Debian has daemons in folders that are not in everybody's path. */
const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Path of a program that `installPackages` has seen to. @throws when it is not there */
export function programPath(name: ProgramName): string {
  const path = folders.map((folder) => join(folder, name)).find(isExecutable);
  if (path === undefined) throw new Error(`${name} is not installed. ${howTo([packages[name]])}`);
  return path;
}

/**
 * Installs what is missing when it may (root, with apt-get).
 * @throws with the command to run when it may not: nothing is skipped.
 */
export async function installPackages(): Promise<void> {
  const missing = (Object.keys(packages) as ProgramName[])
    .filter((name) => !isThere(name))
    .map((name) => packages[name]);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) throw new Error(`${missing.join(', ')} not installed. ${howTo(missing)}`);
  // RUNLEVEL=1 keeps the packages from starting services on the ports of this machine.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const options = { msMax: installMsMax, env };
  await runToEnd('apt-get', ['update', '-qq'], options);
  await runToEnd('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], options);
}

function isThere(name: ProgramName): boolean {
  return folders.some((folder) => isExecutable(join(folder, name)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function howTo(names: readonly string[]): string {
  return `Run "apt-get install ${names.join(' ')}" as root, or this suite as root, which does it.`;
}
