import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

/* What a document or a message points to is there, and so is the heading that it names. */

const project = fileURLToPath(new URL('..', import.meta.url));
const folders = ['bench', 'clients', 'deploy', 'docs', 'examples', 'src', 'test', 'tools'];
const made = /(^|\/)(node_modules|dist|results|__pycache__|\.venv)\//;

const files = [
  ...readdirSync(project).filter((name) => /\.(md|yaml|yml)$/.test(name)),
  ...folders.flatMap((folder) =>
    readdirSync(join(project, folder), { recursive: true, encoding: 'utf8' }).map((path) => `${folder}/${path}`),
  ),
].filter((path) => !made.test(path));
const documents = files.filter((path) => path.endsWith('.md'));
const sources = files.filter((path) => /\.(ts|tsx|mjs|py|yml|yaml|conf|cfg|service|socket)$/.test(path));
const read = (path: string) => readFileSync(join(project, path), 'utf8');

/** A document without what stands in fences, where `#` begins a comment and brackets are code. */
const prose = (path: string) => read(path).replaceAll(/^ *```[\s\S]*?^ *```/gm, '');

/** The anchors of a document, as GitHub makes them of its headings. */
function anchorsOf(path: string): string[] {
  const seen = new Map<string, number>();
  return [...prose(path).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => {
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = plain.replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

/** Why a link leads nowhere; undefined when it leads somewhere. */
function brokenBy(target: string, anchor: string | undefined): string | undefined {
  if (!existsSync(join(project, target))) return `${target} is not there`;
  if (anchor === undefined || !target.endsWith('.md')) return undefined;
  return anchorsOf(target).includes(anchor) ? undefined : `${target} has no heading #${anchor}`;
}

describe('documents', () => {
  test('are found by this test', () => {
    expect(documents).toEqual(expect.arrayContaining(['README.md', 'docs/README.md', 'clients/python/README.md']));
    expect(anchorsOf('docs/compatibility.md')).toContain('cases-of-npm-run-testsdk');
  });

  test.each(documents)('%s: every link to a file or a heading leads there', (path) => {
    const broken: string[] = [];
    for (const [, link = ''] of prose(path).matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)) {
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : relative(project, join(project, dirname(path), file));
      const why = brokenBy(target, anchor);
      if (why !== undefined) broken.push(`${link}: ${why}`);
    }
    expect(broken).toEqual([]);
  });

  test('files of the code that they name are there', () => {
    const rooms = readdirSync(join(project, 'src')).filter((name) => !name.includes('.'));
    const named = new RegExp(
      `\`((?:[a-z0-9-]+/)+[a-z0-9.-]+\\.(?:ts|tsx|mjs|py|sql)|(?:${rooms.join('|')})/[a-z0-9/-]+)\``,
      'g',
    );
    const places = ['', 'src/', 'src/page/', 'test/', 'bench/'];
    const isThere = (path: string) =>
      places.some((place) => ['', '.ts', '.tsx'].some((end) => existsSync(join(project, `${place}${path}${end}`))));
    // What has landed under an earlier name is not written anew.
    const wrong = documents
      .filter((path) => path !== 'CHANGELOG.md')
      .flatMap((path) => [...prose(path).matchAll(named)].map(([, name = '']) => ({ path, name })))
      .filter(({ name }) => !isThere(name));
    expect(wrong).toEqual([]);
  });

  test('docs/README.md names every page of docs/', () => {
    const index = read('docs/README.md');
    const pages = documents.filter((path) => /^docs\/[^/]+$/.test(path) && path !== 'docs/README.md');
    expect(pages.filter((path) => !index.includes(`](${path.slice('docs/'.length)})`))).toEqual([]);
  });
});

test('pages and headings that code, comments and messages name are there', () => {
  const broken: string[] = [];
  for (const path of sources) {
    for (const [, page = '', , anchor] of read(path).matchAll(
      /\b(docs\/(decisions\/)?[a-z0-9-]+\.md)(?:#([a-z0-9-]+))?/g,
    )) {
      const why = brokenBy(page, anchor);
      if (why !== undefined) broken.push(`${path}: ${why}`);
    }
  }
  expect(broken).toEqual([]);
});
