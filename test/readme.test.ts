import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/* The first page is for somebody who has one minute. That its Python runs is seen by `npm run test:sdk`. */

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

test('has at most 130 lines', () => {
  expect(readme.trimEnd().split('\n').length).toBeLessThanOrEqual(130);
});

test('says how the server and its tests are started, each in one line', () => {
  const blocks = [...readme.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block);
  expect(blocks).toEqual(expect.arrayContaining(['npm ci && npm start\n', 'npm ci && npm test\n']));
});
