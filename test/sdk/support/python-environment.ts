import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, describeFile } from './places.ts';
import { type Pin, pins, type Release } from './releases.ts';
import { runToEnd } from './run-to-end.ts';

// The lower bound makes a Python that is too old for the newest SDK a failure, instead of a test of an old release.
const requirements = ['atomscale>=0.21.10', 'pytest>=8', 'packaging'];
const installMsMax = 540_000;
const checkMsMax = 120_000;
const installsAtOnce = 2;

interface Base {
  readonly python: string;
  readonly folder: string;
  readonly newest: string;
}

/**
 * The newest release from PyPI and every pinned one that is wanted, by default all, ready to run.
 *
 * There is one virtual environment, with the newest release and all that it requires. A pinned release lies in a folder
 * of its own, installed without its requirements, and comes first on PYTHONPATH; what it requires is checked against
 * what the environment holds. So a release costs seconds instead of a minute, and what runs is the release as published.
 *
 * Everything is kept between runs, keyed by Python and requirements; what does not import is made afresh.
 * Never throws: a release whose installation failed carries the reason, and its cases fail with it.
 */
export async function installReleases(isWanted: (pin: Pin) => boolean = () => true): Promise<Release[]> {
  const base = await installNewest().catch((reason: Error) => reason);
  if (base instanceof Error) {
    const newest = { package: 'atomscale', version: 'newest', generation: 'newest' } as const;
    return [...pins.filter(isWanted), newest].map((pin) => ({
      ...pin,
      isNewest: pin === newest,
      failure: base.message,
    }));
  }
  const others = pins.filter((pin) => pin.package !== 'atomscale' || pin.version !== base.newest);
  const newestPin: Pin = pins.find((pin) => !others.includes(pin)) ?? {
    package: 'atomscale',
    version: base.newest,
    generation: 'newest',
  };
  const releases: Release[] = [await describe(base, newestPin, undefined)];
  const waiting = others.filter(isWanted);
  const install = async () => {
    for (let pin = waiting.shift(); pin !== undefined; pin = waiting.shift())
      releases.push(await installPin(base, pin));
  };
  await Promise.all(Array.from({ length: installsAtOnce }, install));
  const place = (release: Release) => pins.findIndex((pin) => pin.version === release.version);
  return releases.sort((one, other) => (one.isNewest ? 99 : place(one)) - (other.isNewest ? 99 : place(other)));
}

async function installNewest(): Promise<Base> {
  const base = process.env.PYTHON ?? 'python3';
  const baseVersion = (await runToEnd(base, ['-VV'], { msMax: checkMsMax })).trim();
  const key = createHash('sha256')
    .update([baseVersion, ...requirements].join('\n'))
    .digest('hex')
    .slice(0, 12);
  const folder = join(cacheFolder, key);
  const python = join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');

  const imports = 'import pip, pytest, packaging, atomscale.streaming';
  if (!(await isWhole(folder, python, imports))) await makeEnvironment(base, folder);
  const newest = await newestVersion(python);
  await runToEnd(python, pip('install', '--upgrade', ...requirements), { msMax: installMsMax });
  await writeFile(join(folder, 'complete'), key);
  return { python, folder, newest };
}

async function installPin(base: Base, pin: Pin): Promise<Release> {
  const folder = join(base.folder, 'releases', `${pin.package}-${pin.version}`);
  try {
    if (!(await isWhole(folder, base.python, `import ${pin.package}`, folder))) {
      await rm(folder, { recursive: true, force: true });
      const options = ['--no-deps', '--only-binary', ':all:', '--target', folder];
      const args = pip('install', ...options, `${pin.package}==${pin.version}`);
      await runToEnd(base.python, args, { msMax: installMsMax });
      await writeFile(join(folder, 'complete'), pin.version);
    }
    return await describe(base, pin, folder);
  } catch (reason) {
    return { ...pin, isNewest: false, failure: (reason as Error).message };
  }
}

/** Asks the installed package itself what it is, whether it has all that it requires, and which calls it has. */
async function describe(base: Base, pin: Pin, folder: string | undefined): Promise<Release> {
  const isNewest = folder === undefined;
  try {
    const args = [describeFile, pin.package, folder ?? base.folder];
    const said = await runToEnd(base.python, args, { msMax: checkMsMax, env: { ...process.env, ...pathOf(folder) } });
    const found = JSON.parse(said) as {
      version: string;
      pythonVersion: string;
      missing: string[];
      has: string[];
      calls: string[];
    };
    if (found.version !== pin.version) throw new Error(`${pin.version} was asked for, ${found.version} is installed`);
    if (found.missing.length > 0) throw new Error(`Not in the environment: ${found.missing.join(', ')}`);
    const { pythonVersion, calls } = found;
    const { python } = base;
    const environment = pathOf(folder);
    return { ...pin, isNewest, installed: { python, pythonVersion, environment, has: new Set(found.has), calls } };
  } catch (reason) {
    return { ...pin, isNewest, failure: (reason as Error).message };
  }
}

async function isWhole(folder: string, python: string, imports: string, path?: string): Promise<boolean> {
  try {
    await readFile(join(folder, 'complete'));
    await runToEnd(python, ['-c', imports], { msMax: checkMsMax, env: { ...process.env, ...pathOf(path) } });
    return true;
  } catch (reason) {
    if (!isMissingFile(reason)) console.log(`${folder} is made afresh: ${(reason as Error).message}`);
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

/** Puts a release in front of the environment's own; empty, so that no other path of this machine comes in. */
function pathOf(folder: string | undefined): { PYTHONPATH: string } {
  return { PYTHONPATH: folder ?? '' };
}

function isMissingFile(reason: unknown): boolean {
  return reason instanceof Error && 'code' in reason && reason.code === 'ENOENT';
}
