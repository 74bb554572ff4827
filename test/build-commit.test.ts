import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

/* Of which commit a build says that it is. Real repositories, made here. */

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metrology-commit-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const execute = promisify(execFile);
const git = async (place: string, ...args: string[]) => {
  const { GIT_DIR: _, GIT_WORK_TREE: __, GIT_INDEX_FILE: ___, ...env } = process.env;
  const who = ['-c', 'user.name=Ada', '-c', 'user.email=ada@lab.example'];
  return (await execute('git', [...who, ...args], { cwd: place, env })).stdout.trim();
};

/** A folder with what a build needs of the project, and nothing else. */
async function newProject(name: string): Promise<string> {
  const place = join(folder, name);
  await mkdir(join(place, 'dist'), { recursive: true });
  await cp('build-commit.js', join(place, 'build-commit.js'));
  await writeFile(join(place, 'package.json'), '{"type":"module"}');
  await writeFile(join(place, '.gitignore'), 'dist/\n');
  return place;
}

async function committed(name: string): Promise<{ place: string; head: string }> {
  const place = await newProject(name);
  await git(place, 'init', '--quiet');
  await git(place, 'add', '.');
  await git(place, 'commit', '--quiet', '--message', 'all');
  return { place, head: await git(place, 'rev-parse', 'HEAD') };
}

async function commitIn(place: string, env: Record<string, string> = {}): Promise<unknown> {
  const { BUILD_COMMIT: _, ...environment } = process.env;
  await execute(process.execPath, ['build-commit.js'], { cwd: place, env: { ...environment, ...env } });
  return JSON.parse(await readFile(join(place, 'dist/build.json'), 'utf8')).commit;
}

test('that of the checkout, which it marks when files of the commit have been changed', async () => {
  const { place, head } = await committed('checkout');
  expect(head).toMatch(/^[0-9a-f]{40}$/);
  expect(await commitIn(place)).toBe(head);
  await writeFile(join(place, 'notes.txt'), 'not of the commit');
  expect(await commitIn(place)).toBe(head);
  await writeFile(join(place, 'package.json'), '{"type":"module","private":true}');
  expect(await commitIn(place)).toBe(`${head}-dirty`);
});

test('that of a worktree, whose .git is a file', async () => {
  const { place, head } = await committed('main');
  await git(place, 'worktree', 'add', '--quiet', join(folder, 'beside'));
  await mkdir(join(folder, 'beside/dist'));
  expect(await commitIn(join(folder, 'beside'))).toBe(head);
});

test('the one that is given wins; a name that cannot be one stops the build', async () => {
  const { place, head } = await committed('given');
  expect(await commitIn(place, { BUILD_COMMIT: 'v0.2.0-1-gabcdef0' })).toBe('v0.2.0-1-gabcdef0');
  // What a Dockerfile passes on when nobody has said anything.
  expect(await commitIn(place, { BUILD_COMMIT: '' })).toBe(head);
  await expect(commitIn(place, { BUILD_COMMIT: 'a "commit"' })).rejects.toThrow(/BUILD_COMMIT has to be the name/);
});

test('unknown without Git, and in a folder of the checkout of another project', async () => {
  expect(await commitIn(await newProject('plain'))).toBe('unknown');
  const { place } = await committed('other');
  const inside = await newProject('other/vendor/metrology-server');
  expect(await commitIn(inside)).toBe('unknown');
  expect(await commitIn(inside, { GIT_DIR: join(place, '.git'), GIT_WORK_TREE: inside })).toBe('unknown');
  expect(await commitIn(inside, { PATH: '' })).toBe('unknown');
});
