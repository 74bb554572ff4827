import { existsSync, readFileSync } from 'node:fs';

/** package.json, beside `src` in a checkout and beside `dist` in the package. */
const { name, version } = readJson(new URL('../../package.json', import.meta.url)) as { name: string; version: string };

/** What the build has written (build-commit.js). The sources alone are no build, and do not have it. */
const build = new URL('../build.json', import.meta.url);

export const packageName: string = name;
export const packageVersion: string = version;

/**
 * The commit that this build was made of: usually 40 hexadecimal digits, with `-dirty` behind them where its files had been
 * changed. `unknown` where nobody said so at the build; nothing is looked up at run time.
 */
export const packageCommit: string = existsSync(build) ? (readJson(build) as { commit: string }).commit : 'unknown';

/** Both, for people. */
export const packageRelease: string = `${packageVersion} (commit ${packageCommit})`;

function readJson(file: URL): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}
