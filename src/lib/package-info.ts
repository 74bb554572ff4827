import { readFileSync } from 'node:fs';

/** package.json, beside `src` in a checkout and beside `dist` in the package. */
const { name, version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  name: string;
  version: string;
};

export const packageName: string = name;
export const packageVersion: string = version;
