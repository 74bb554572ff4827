import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ConfigSchema } from '../src/config.ts';

/* docs/security.md says what is true, and nothing in src sends a request. */

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const text = readFileSync(at('docs/security.md'), 'utf8');
const sections = text.split(/^## /m).slice(1);

interface LimitFile {
  /** Stands before each name in the table, with a point; empty for `src/contract.ts`. */
  room: string;
  path: string;
  limits: Record<string, number>;
}

const limitPaths = readdirSync(at('src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('/limits.ts'))
  .sort();

/**
 * What the API promises stands in `contract.ts`; each room has its limits in its `limits.ts`: one object `ROOMLimits` of
 * numbers. Each number has a comment.
 */
const limitFiles: LimitFile[] = await Promise.all(
  ['contract.ts', ...limitPaths].map(async (path) => {
    const exported = Object.entries((await import(at(`src/${path}`))) as Record<string, Record<string, number>>);
    const found = exported.filter(([name]) => /^(contract|\w+Limits)$/.test(name));
    expect(found, `${path} exports one object of limits`).toHaveLength(1);
    const room = path === 'contract.ts' ? '' : `${dirname(path)}.`;
    return { room, path, limits: found[0]?.[1] ?? {} };
  }),
);

describe('docs/security.md', () => {
  test('has a section for each of the ten', () => {
    const titles = sections.map((section) => section.split('\n')[0]?.split(':')[0]);
    expect(titles).toEqual([...Array.from({ length: 10 }, (_, i) => `API${i + 1}`), 'Limits']);
  });

  test.each(sections.slice(0, 10))('names tests that are there: %s', (section) => {
    const named = [...section.matchAll(/`(test\/[^`]+|\.ci\/[^`]+)`/g)].map(([, path]) => path as string);
    expect(named.length).toBeGreaterThan(0);
    for (const path of named) expect(existsSync(at(path)), path).toBe(true);
  });

  test('the ceiling of memory is the sum of what it is made of', () => {
    const mebibytes = (digits = '') => Number(digits.replaceAll(',', ''));
    const [, marked, said] = /<!-- memory ceiling: ([\d,]+) MiB --> ([\d,]+) MiB/.exec(text) ?? [];
    const [table = ''] = /^### Memory\n[\s\S]*?^## /m.exec(text) ?? [];
    const parts = [...table.matchAll(/^\| [^|]+ \| ([\d,]+) \|/gm)].map(([, part]) => mebibytes(part));
    expect(parts.length).toBeGreaterThan(5);
    expect(mebibytes(said)).toBe(mebibytes(marked));
    expect(parts.reduce((sum, part) => sum + part, 0)).toBe(mebibytes(marked));
  });

  test('has every limit as it is; UPDATE_DOCS=1 writes them', () => {
    const parts = /(<!-- limits -->\n)[\s\S]*(<!-- end of limits -->)/;
    const written = text.replace(parts, (_, begin, end) => `${begin}${limitsTable()}${end}`);
    if (process.env.UPDATE_DOCS) writeFileSync(at('docs/security.md'), written);
    else expect(text, 'run UPDATE_DOCS=1 npx vitest run test/security.test.ts').toBe(written);
    expect(written).toContain('| `channelNameLengthMax` | 255 | Characters of a channel name');
  });
});

/** Every number that the environment or a room bounds something by, with the sentences that stand there. */
function limitsTable(): string {
  const rows = [...settingRows(), ...limitFiles.flatMap(limitRows)];
  expect(rows.length).toBeGreaterThan(40);
  return ['| name | value | what it bounds |', '|---|---|---|']
    .concat(rows.map(([name, value, what]) => `| \`${name}\` | ${value} | ${what} |`))
    .map((line) => `${line}\n`)
    .join('');
}

function settingRows(): string[][] {
  return Object.entries(ConfigSchema.properties)
    .filter(([, schema]) => schema.type === 'integer')
    .map(([name, { default: value, minimum, maximum, description }]) => {
      const shown = value === undefined ? '' : number(value);
      return [name, shown, `${description} (${number(minimum)} to ${number(maximum)})`];
    });
}

/** A field under another one without a comment of its own shares its comment. */
function limitRows({ room, path, limits }: LimitFile): string[][] {
  const source = readFileSync(at(`src/${path}`), 'utf8');
  const inside = /^export const (?:contract|\w+Limits) = \{\n([\s\S]*?)^\}/m.exec(source)?.[1] ?? '';
  const rows: string[][] = [];
  let about = '';
  for (const [, comment, name] of inside.matchAll(/\/\*\*([\s\S]*?)\*\/|^ {2}(\w+):/gm)) {
    if (comment !== undefined) about = comment.replace(/\s*\n\s*\*\s?/g, ' ').trim();
    else rows.push([`${room}${name}`, number(limits[name as string]), about.replace(/\.$/, '')]);
  }
  expect(about, `${path}: comments of limits begin with /**`).not.toBe('');
  expect(rows.map(([name]) => name)).toEqual(Object.keys(limits).map((name) => `${room}${name}`));
  return rows;
}

const number = (value: unknown) => Number(value).toLocaleString('en-US');

test('the server imports nothing that sends requests; that it calls nothing either, the test of all routes sees', () => {
  const files = readdirSync(at('src'), { recursive: true, encoding: 'utf8' })
    // The page runs in a browser, and asks this server alone: its Content-Security-Policy lets it ask nobody else.
    .filter((path) => path.endsWith('.ts') && !path.startsWith('page/'))
    .map((path) => ({ path, code: readFileSync(at(`src/${path}`), 'utf8') }));
  expect(files.length).toBeGreaterThan(50);
  const clients = [
    /import [^;]*\b(request|get|Agent|connect|createConnection|Socket)\b[^;]*from 'node:(http|https|http2|net|tls)'/,
    /import (?!type)[^;]*'node:(dgram|dns)'|import \* as \w+ from 'node:(http|https|http2|net|tls)'/,
    /\b(undici|WebSocket|EventSource|globalThis)\b/,
  ];
  const isClient = (code: string) =>
    clients.some((pattern) => pattern.test(code.replace(/import type [^;]*;|\btype \w+/g, '')));
  // It asks PostgreSQL to cancel a statement, at the address of the connection on which that runs.
  expect(files.filter(({ code }) => isClient(code)).map(({ path }) => path)).toEqual(['database/driver.ts']);
});
