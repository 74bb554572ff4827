// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the environment, as they stand in the file.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { newApiKey } from '../../src/auth/api-key.ts';
import { provisioningLimits } from '../../src/provisioning/limits.ts';
import { parseProvisioning, readProvisioning } from '../../src/provisioning/provisioning-file.ts';

const environment = {
  ONE: 'a-key-of-the-lab-1',
  TWO: ' a-key-of-the-lab-2\n',
  SHORT: 'short',
  EMPTY: ' ',
  CUT: 'msk1_cut-off-key',
};
const parse = (text: string, limits = provisioningLimits) => parseProvisioning(text, 'lab.yaml', environment, limits);
const folder = mkdtempSync(join(tmpdir(), 'metrology-provisioning-'));
afterAll(() => rmSync(folder, { recursive: true }));

const lab = `organizations:
  - name: " lab "
    users: [ada, grace]
    keys:
      - user: ada
        scopes: [write, read]
        key: \${ONE}
        expires_at: 2027-01-31
      - { user: grace, scopes: [read], key: "\${TWO}" }
    projects: [GaN growth]
  - name: other
retention:
  - {organization: lab, older_than: 365d}
`;
const wanted = [
  {
    name: 'lab',
    users: ['ada', 'grace'],
    keys: [
      {
        user: 'ada',
        scopes: ['read', 'write'],
        variable: 'ONE',
        key: environment.ONE,
        expiresAt: '2027-01-31T00:00:00Z',
      },
      { user: 'grace', scopes: ['read'], variable: 'TWO', key: 'a-key-of-the-lab-2' },
    ],
    projects: ['GaN growth'],
  },
  { name: 'other', users: [], keys: [], projects: [] },
];

test('a file is read, beside rules of retention, as YAML and as JSON; an empty one asks for nothing', () => {
  expect(parse(lab)).toEqual(wanted);
  expect(parse(JSON.stringify({ organizations: wanted.slice(1) }))).toEqual(wanted.slice(1));
  expect(parse('')).toEqual([]);
  expect(parse('retention: []')).toEqual([]);
});

const keyWith = (lines: string) =>
  `organizations:\n  - name: lab\n    users: [ada]\n    keys:\n      - user: ada\n${lines}`;

test.each([
  ['- lab', 'lab.yaml:1: the file must be a mapping of organizations and retention'],
  ['organizations: [{name: lab}', 'lab.yaml:1: '],
  ['users: []', 'lab.yaml:1: users is not known; there are organizations, retention'],
  [
    'organizations:\n  - name: lab\n    colour: red',
    'lab.yaml:3: organizations[0].colour is not known; there are name, users, keys, projects',
  ],
  ['organizations:\n  - users: []', 'lab.yaml:2: organizations[0].name is missing'],
  ['organizations:\n  - name: 5', 'lab.yaml:2: organizations[0].name must be a name'],
  [
    'organizations:\n  - name: lab\n    users:\n      - ada\n      - " "',
    'lab.yaml:5: organizations[0].users[1]: A name must not be blank.',
  ],
  [
    `organizations:\n  - name: ${'x'.repeat(256)}`,
    'lab.yaml:2: organizations[0].name: A name has at most 255 characters.',
  ],
  ['organizations:\n  - name: lab\n    projects: GaN', 'lab.yaml:3: organizations[0].projects must be a list of names'],
  [keyWith('        key: ${ONE}'), 'lab.yaml:5: organizations[0].keys[0].scopes is missing'],
  [
    keyWith('        scopes: []\n        key: ${ONE}'),
    'lab.yaml:6: organizations[0].keys[0].scopes must be a list of read, write, delete, admin',
  ],
  [
    keyWith('        scopes: [read, all]\n        key: ${ONE}'),
    'lab.yaml:6: organizations[0].keys[0].scopes[1] must be one of read, write, delete, admin',
  ],
  [
    keyWith('        scopes: [read]\n        key: ${NONE}'),
    'lab.yaml:7: organizations[0].keys[0].key: the variable NONE of the environment is not set',
  ],
  [
    keyWith('        scopes: [read]\n        key: ${EMPTY}'),
    'lab.yaml:7: organizations[0].keys[0].key: the variable EMPTY of the environment is not set',
  ],
  [
    keyWith('        scopes: [read]\n        key: ${SHORT}'),
    'the value of SHORT is no key. A key has 16 to 512 ASCII characters',
  ],
  [
    keyWith('        scopes: [read]\n        key: ${CUT}'),
    'the value of CUT is no key. This key begins with msk1_, but it is cut or mistyped.',
  ],
  [
    keyWith('        scopes: [read]\n        key: ${ONE}\n        expires_at: soon'),
    'lab.yaml:8: organizations[0].keys[0].expires_at must be a time such as',
  ],
  [
    keyWith('        scopes: [read]\n        key: ${ONE}\n        name: x'),
    'lab.yaml:8: organizations[0].keys[0].name is not known; there are user, scopes, key, expires_at',
  ],
  [
    keyWith('        scopes: [read]\n        key: ${ONE}\n      - {user: ada, scopes: [read], key: "${ONE}"}'),
    'lab.yaml:8: organizations[0].keys[1].key: ONE holds the same key as organizations[0].keys[0].key',
  ],
  [
    keyWith('        scopes: [read]\n        key: ${ONE}\n      - {user: bob, scopes: [read], key: "${TWO}"}'),
    'lab.yaml:8: organizations[0].keys[1].user "bob" is none of the users of this organization in the file',
  ],
  [
    keyWith('        scopes: [read]\n        key: ${ONE}\n      - {user: ada, scopes: [read], key: ${TWO}}'),
    'between braces a variable needs quotes: "${NAME}"',
  ],
  ['organizations: []\nretention:\n  - {organization: lab}', 'lab.yaml:3: retention[0].older_than must be a text'],
])('%j is refused with its line and field', (text, sentence) => {
  expect(() => parse(text)).toThrow(sentence);
});

test('all that is wrong is told at once', () => {
  const text = 'organizations:\n  - name: " "\n    projects: [" "]\nretention: 5';
  expect(() => parse(text)).toThrow(/retention must be a list of rules/);
  expect(() => parse(text.replace('5', '[5]'))).toThrow(
    /:2: .*name: .*\n.*:3: .*projects\[0\]: .*\n.*:4: retention\[0\]/,
  );
});

test.each(['literal-key-of-the-lab', newApiKey(), '$ONE', 'x${ONE}'])(
  'a key in the file itself is refused and not shown',
  (literal) => {
    const text = keyWith(`        scopes: [read]\n        key: ${literal}`);
    let said = '';
    try {
      parse(text);
    } catch (error) {
      said = (error as Error).message;
    }
    expect(said).toBe(
      'lab.yaml:7: organizations[0].keys[0].key must be a variable of the environment such as "${LAB_KEY}"; no key stands in the file itself',
    );
  },
);

test('more than the bounds is refused by their names', () => {
  expect(() => parse(lab, { ...provisioningLimits, entriesMax: 6 })).toThrow(
    '7 entries, and at most 6 are taken (entriesMax)',
  );
  const path = join(folder, 'lab.yaml');
  writeFileSync(path, lab);
  expect(() => readProvisioning(path, environment, { ...provisioningLimits, fileBytesMax: 9 })).toThrow(
    `${path}: it has ${lab.length} bytes, and at most 9 are read (fileBytesMax)`,
  );
  expect(readProvisioning(path, environment)).toEqual(wanted);
  expect(() => readProvisioning(join(folder, 'none.yaml'), environment)).toThrow('none.yaml: ENOENT');
});
