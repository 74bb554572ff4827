import { join, resolve } from 'node:path';

export const projectFolder = resolve(import.meta.dirname, '../../..');
export const casesFolder = resolve(import.meta.dirname, '../cases');
export const describeFile = resolve(import.meta.dirname, 'describe.py');
export const cacheFolder = join(projectFolder, 'node_modules/.cache/sdk-venv');

/** Names a folder with a server that was built elsewhere and is tested as it is; without it, `dist` is kept fresh. */
const givenDist = process.env.SDK_TEST_DIST;
export const distIsGiven = givenDist !== undefined;
export const distFolder = resolve(projectFolder, givenDist ?? 'dist');
