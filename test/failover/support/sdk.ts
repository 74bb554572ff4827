import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { installReleases } from '../../sdk/support/python-environment.ts';
import { nameOf, type Release } from '../../sdk/support/releases.ts';

const lastThatTriesOnce = '0.20.1';
const script = join(import.meta.dirname, 'sdk_stream.py');

/** The two generations that matter here: the newest, which tries three times, and the last pinned one that tries once. */
export interface Releases {
  newest: Release;
  old: Release;
}

/** @throws when one of them cannot be installed */
export async function installBoth(): Promise<Releases> {
  const all = await installReleases(({ version }) => version === lastThatTriesOnce);
  const find = (what: string, is: (release: Release) => boolean) => {
    const release = all.find(is);
    if (release?.installed === undefined) throw new Error(`${what} of the SDK is not installed: ${release?.failure}`);
    return release;
  };
  return {
    newest: find('the newest release', ({ isNewest }) => isNewest),
    old: find(lastThatTriesOnce, ({ version }) => version === lastThatTriesOnce),
  };
}

export interface Said {
  call?: string;
  stream?: string;
  /** When the call began, in seconds since 1970. */
  at?: number;
  seconds?: number;
  error?: string;
  opened?: string | null;
  pushed?: number;
  channels?: string[];
  lives?: number;
}

/** A Python process with the SDK; what its script does stands in sdk_stream.py. */
export interface SdkProcess {
  name: string;
  /** All lines so far. */
  said(): readonly Said[];
  /** The next line with this key, or the one that was said already. @throws when the process ends before */
  told<Key extends keyof Said>(key: Key): Promise<NonNullable<Said[Key]>>;
  /** Lets it go on to its next step. */
  next(): void;
  /** Waits until it has ended by itself. @throws with its output when that is not in order */
  ended(): Promise<void>;
  kill(): void;
}

export function startSdk(
  release: Release,
  mode: 'stream' | 'lives',
  name: string,
  endpoint: string,
  key: string,
): SdkProcess {
  if (release.installed === undefined) throw new Error(`${nameOf(release)} is not installed`);
  const { PATH, HOME, LANG } = process.env;
  const child = spawn(release.installed.python, [script, endpoint, key, mode, name], {
    env: { PATH, HOME, LANG, ...release.installed.environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const said: Said[] = [];
  let errors = '';
  let code: number | null | undefined;
  let wake = () => {};
  const exited = new Promise<void>((resolve) =>
    child.once('close', (status) => {
      code = status;
      wake();
      resolve();
    }),
  );
  child.stdin.on('error', () => {});
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4_000);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    said.push(JSON.parse(line) as Said);
    wake();
  });
  return {
    name,
    said: () => said,
    async told(key) {
      for (;;) {
        const found = said.find((one) => key in one)?.[key];
        if (found !== undefined && found !== null) return found;
        if (code !== undefined)
          throw new Error(
            `${name} ended with ${code} and never said ${key}:\n${JSON.stringify(said.at(-1))}\n${errors}`,
          );
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    next: () => void child.stdin.write('\n'),
    async ended() {
      child.stdin.end();
      await exited;
      if (code !== 0) throw new Error(`${name} ended with ${code}:\n${errors}`);
    },
    kill: () => child.kill('SIGKILL'),
  };
}
