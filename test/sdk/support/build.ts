import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { distFolder, distIsGiven, projectFolder } from './places.ts';
import { runToEnd } from './run-to-end.ts';

const buildMsMax = 180_000;

/** Builds `dist` when it is missing or older than any source, so that the suite never tests yesterday's server. */
export async function buildWhenStale(): Promise<void> {
  if (distIsGiven) return;
  const builtAtMs = await modifiedAtMs(join(distFolder, 'main.js'));
  const changedAtMs = await newestSourceMs();
  if (builtAtMs !== undefined && builtAtMs >= changedAtMs) return;
  await runToEnd('npm', ['run', 'build'], { cwd: projectFolder, msMax: buildMsMax });
}

async function newestSourceMs(): Promise<number> {
  const sources = await readdir(join(projectFolder, 'src'), { recursive: true });
  const files = [
    ...sources.map((file) => join('src', file)),
    'tsconfig.json',
    'tsconfig.build.json',
    'rolldown.config.js',
    'package.json',
  ];
  const times = await Promise.all(files.map((file) => modifiedAtMs(join(projectFolder, file))));
  return Math.max(...times.map((time) => time ?? 0));
}

async function modifiedAtMs(file: string): Promise<number | undefined> {
  return (await stat(file).catch(() => undefined))?.mtimeMs;
}
