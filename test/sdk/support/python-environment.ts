import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from './places.ts';
import { runToEnd } from './run-to-end.ts';

export interface InstalledSdk {
  readonly python: string;
  readonly pythonVersion: string;
  readonly version: string;
}

// The lower bound makes a Python that is too old for the newest SDK a failure, instead of a test of an old release.
const requirements = ['atomscale>=0.21.10', 'pytest>=8'];
const installMsMax = 540_000;
const checkMsMax = 120_000;

/**
 * Makes or reuses the virtual environment and installs the newest `atomscale` from PyPI into it.
 * The folder is keyed by Python and requirements; one that does not import its packages is made afresh.
 * Throws with pip's own words when anything fails.
 */
export async function installSdk(): Promise<InstalledSdk> {
  const base = process.env.PYTHON ?? 'python3';
  const baseVersion = (await runToEnd(base, ['-VV'], { msMax: checkMsMax })).trim();
  const key = createHash('sha256')
    .update([baseVersion, ...requirements].join('\n'))
    .digest('hex')
    .slice(0, 12);
  const folder = join(cacheFolder, key);
  const python = join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');

  if (!(await isWhole(folder, python))) await makeEnvironment(base, folder);
  const newest = await newestVersion(python);
  await runToEnd(python, pip('install', '--upgrade', ...requirements), { msMax: installMsMax });
  await writeFile(join(folder, 'complete'), key);

  const ask = 'import platform, importlib.metadata as m; print(platform.python_version(), m.version("atomscale"))';
  const [pythonVersion = '', version = ''] = (await runToEnd(python, ['-c', ask], { msMax: checkMsMax }))
    .trim()
    .split(' ');
  if (version !== newest) throw new Error(`PyPI offers atomscale ${newest}, but ${version} was installed`);
  return { python, pythonVersion, version };
}

async function isWhole(folder: string, python: string): Promise<boolean> {
  try {
    await readFile(join(folder, 'complete'));
    await runToEnd(python, ['-c', 'import pip, pytest, atomscale.streaming'], { msMax: checkMsMax });
    return true;
  } catch (reason) {
    if (!isMissingFile(reason)) console.log(`The SDK's environment is made afresh: ${(reason as Error).message}`);
    return false;
  }
}

async function makeEnvironment(base: string, folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(cacheFolder, { recursive: true });
  await runToEnd(base, ['-m', 'venv', folder], { msMax: checkMsMax });
}

/** Asks the index itself: an upgrade that cannot reach it would be content with what is installed already. */
async function newestVersion(python: string): Promise<string> {
  const offered = await runToEnd(python, pip('index', 'versions', 'atomscale'), { msMax: checkMsMax });
  const version = /^atomscale \(([^)]+)\)/m.exec(offered)?.[1];
  if (version === undefined) throw new Error(`pip named no version of atomscale:\n${offered}`);
  return version;
}

function pip(command: string, ...args: string[]): string[] {
  return ['-m', 'pip', command, '--no-input', '--disable-pip-version-check', ...args];
}

function isMissingFile(reason: unknown): boolean {
  return reason instanceof Error && 'code' in reason && reason.code === 'ENOENT';
}
