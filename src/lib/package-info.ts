import { readFileSync } from 'node:fs';

/** package.json, beside `src` in a checkout and beside `dist` in the package. */
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

export const packageVersion: string = version;
