import { execFileSync } from 'node:child_process';

/** PostgreSQL refuses to run as root, so root runs it as Debian's user of that name. @returns undefined for anybody else */
export function accountOf(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (kind: string) => Number(execFileSync('id', [kind, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** The words of a command that runs a program as that user. */
export function asAccount(program: string, args: readonly string[]): string[] {
  if (process.getuid?.() !== 0) return [program, ...args];
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', program, ...args];
}
