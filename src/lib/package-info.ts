import { existsSync, readFileSync } from 'node:fs';

/** package.json, beside `src` in a checkout and beside `dist` in the package. */
const { name, version } = readJson(new URL('../../package.json', import.meta.url)) as { name: string; version: string };

/** Written by the build (build-commit.js); it does not exist when the sources are run directly. */
const build = new URL('../build.json', import.meta.url);

export const packageName: string = name;
export const packageVersion: string = version;

/**
 * The commit that this build was made from: usually 40 hexadecimal digits, followed by `-dirty` when files had been
 * changed. `unknown` when the build was not given a commit; nothing is looked up at run time.
 */
export const packageCommit: string = existsSync(build) ? (readJson(build) as { commit: string }).commit : 'unknown';

/** Version and commit, as people read them. */
export const packageRelease: string = `${packageVersion} (commit ${packageCommit})`;

function readJson(file: URL): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}
