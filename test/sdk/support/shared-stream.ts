import { join } from 'node:path';
import { casesFolder } from './places.ts';
import { nameOf, type Release } from './releases.ts';
import { runToEnd } from './run-to-end.ts';

const stepMsMax = 60_000;
const stepsAtOnce = 2;
const pointsOfChunk = 5;
const firstMs = 1_700_000_000_000;

/** What a release shows of a stream: channel to pairs of milliseconds and reading. */
export type Shown = Record<string, [number, number][]>;

/** Runs one step of a stream in a process of the release, see `cases/step.py`. @throws with what Python said. */
export type RunStep = (release: Release, step: string, ...args: string[]) => Promise<string>;

export function stepsWith(environmentOf: (release: Release) => Promise<Record<string, string>>): RunStep {
  const inTurn = atMost(stepsAtOnce);
  const run: RunStep = async (release, ...args) => {
    if (release.installed === undefined) throw new Error(`${nameOf(release)}: ${release.failure}`);
    const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...(await environmentOf(release)) };
    const said = await runToEnd(release.installed.python, [join(casesFolder, 'step.py'), ...args], {
      cwd: casesFolder,
      env,
      msMax: stepMsMax,
    });
    return said.trim();
  };
  return (release, ...args) => inTurn(() => run(release, ...args));
}

/** Lets so many pieces of work run at a time, the others wait for their turn. */
function atMost(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const lanes: Promise<unknown>[] = Array.from({ length: count }, () => Promise.resolve());
  let next = 0;
  return (work) => {
    const lane = next;
    next = (next + 1) % count;
    const done = (lanes[lane] ?? Promise.resolve()).then(work);
    lanes[lane] = done.catch(() => undefined);
    return done;
  };
}

/** What every release has to show of the channels `a` and `b` of so many chunks. */
export function shownAfter(chunks: number): Shown {
  const points = Array.from({ length: chunks * pointsOfChunk }, (_, place): [number, number] => [
    firstMs + place * 1000,
    Math.floor(place / pointsOfChunk) + (place % pointsOfChunk) / 7,
  ]);
  return { a: points, b: points };
}
