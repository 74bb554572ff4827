import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds } from '../../../bench/support/processes.ts';
import { shown } from '../../faults/support/run.ts';
import { isRunning } from '../../support/built-server.ts';
import { type Answer, ask, type Question } from './ask.ts';
import type { Keys, Lab, Site } from './lab.ts';
import { type Line, type LineOptions, openLine } from './lines.ts';
import type { Own } from './sites.ts';
import { answerMsMax, type Figures, stallMsMax, stallOf, type Witness } from './witness.ts';

export type Scale = 'small' | 'full';

/** One thing that is done to a server, and what must be true meanwhile. */
export interface Row {
  name: string;
  /** What it does, in a sentence. */
  about: string;
  /** Gives the row a server of its own, with a database of its own; or one that it shares with the rows of the same word. */
  own?: Exclude<Own, undefined>;
  /** Prepares, attacks within `ground.watched`, and looks at what is left. */
  run(ground: Ground): Promise<void>;
}

/** What may be missing while a row goes on, since the row takes it away from everybody. */
export interface Watching {
  /** False: the database is not there, so chunks and runs are not looked at. */
  ingest?: boolean;
}

/** Where a row takes place. All connections that it opens end with it. */
export interface Ground {
  lab: Lab;
  site: Site;
  keys: Keys;
  port: number;
  scale: Scale;
  /** One of the figures, by scale. */
  size(small: number, full: number): number;
  /** Does something while somebody else sends chunks, and blames what that one had to suffer. */
  watched(work: () => Promise<void>, watching?: Watching): Promise<void>;
  /** Milliseconds that attacks last. */
  attackMs: number;
  /** Whether the time of the attack is over. */
  isOver(): boolean;
  /** Waits, but not longer than the attack lasts. */
  rest(ms?: number): Promise<void>;
  ask(method: string, path: string, question?: Question): Promise<Answer>;
  /** Connections that are there; those that were refused are left out. */
  lines(count: number, options?: LineOptions): Promise<Line[]>;
  /** Opens a stream. @returns its data_id */
  openStream(key: string): Promise<string>;
  query(statement: string): Promise<Record<string, unknown>[]>;
  blame(what: string): void;
  /** Blames unless the figure is within its bound. */
  measure(name: string, value: number, bound: { max?: number; min?: number; unit: string }): void;
  note(line: string): void;
}

export interface Told {
  blamed: string[];
  notes: string[];
  /** Milliseconds before the watch, in it and after it. */
  spentMs: { before: number; watched: number; after: number };
}

interface Surroundings {
  lab: Lab;
  site: Site;
  scale: Scale;
  witness: Witness;
  /** What the machine adds to a stall, in ms. */
  marginMs: number;
  /** What docs/security.md promises. */
  memoryMax: number;
}

/** The system hands over all that wait for accept in one go, which would be a stall of its own. */
const connectionsAtOnce = 100;

/** Runs a row. @returns what it has found, never throws for the server's sake */
export async function runRow(row: Row, surroundings: Surroundings): Promise<Told> {
  const { lab, site, scale, witness, marginMs, memoryMax } = surroundings;
  const told: Told = { blamed: [], notes: [], spentMs: { before: 0, watched: 0, after: 0 } };
  const laps = lapsOf(told.spentMs);
  const open = new Set<Line>();
  let until = Number.POSITIVE_INFINITY;
  const port = site.port();
  const blame = (what: string) => void told.blamed.push(what);
  const attackMs = scale === 'small' ? 600 : 15_000;
  let wasWatched = false;
  const logged = site.server().stderr().length;
  const ground: Ground = {
    ...{ lab, site, keys: lab.keys, port, scale, attackMs, blame },
    size: (small, full) => (scale === 'small' ? small : full),
    async watched(work, watching = {}) {
      wasWatched = true;
      laps('before');
      await witness.begin({ port, pid: site.pid(), key: lab.keys.other, clockFile: site.clockFile });
      until = performance.now() + attackMs;
      let figures: Figures;
      try {
        await work();
        // What is done soon is no reason to look less long.
        await ground.rest();
      } finally {
        figures = await witness.end();
        laps('watched');
      }
      judge(figures, { marginMs, memoryMax, told, ...watching });
    },
    isOver: () => performance.now() >= until,
    rest: (ms = Number.POSITIVE_INFINITY) => sleep(Math.max(0, Math.min(ms, until - performance.now()))),
    ask: (method, path, question) => ask(port, method, path, question),
    async lines(count, options) {
      const there: Line[] = [];
      for (let left = count; left > 0; left -= connectionsAtOnce) {
        const wave = Array.from({ length: Math.min(left, connectionsAtOnce) }, () => openLine(port, options));
        there.push(...(await Promise.all(wave)).filter((line) => line !== undefined));
      }
      for (const line of there) open.add(line);
      return there;
    },
    openStream: (key) => openStream(port, key),
    query: (statement) => lab.cluster.query(statement, site.database),
    measure(name, value, { max = Number.POSITIVE_INFINITY, min = Number.NEGATIVE_INFINITY, unit }) {
      told.notes.push(`${name} ${shown(value)} ${unit}`);
      if (value > max) blame(`${name}: ${shown(value)} ${unit}, at most ${shown(max)} ${unit} are allowed`);
      if (value < min) blame(`${name}: ${shown(value)} ${unit}, at least ${shown(min)} ${unit} are needed`);
    },
    note: (line) => void told.notes.push(line),
  };
  try {
    const othersBusy = measureOthers();
    await row.run(ground);
    if (othersBusy() > 0.5) ground.note(`other programs used ${shown(othersBusy())} processors`);
    if (!wasWatched) blame('the row watched nothing');
  } catch (error) {
    blame((error as Error).stack ?? String(error));
  } finally {
    for (const line of open) line.socket.destroy();
    laps(wasWatched ? 'after' : 'before');
  }
  if (!isRunning(site.pid())) blame(`the server has ended: ${site.server().stderr().slice(-500)}`);
  // The process that holds the sockets starts another one, so this is no more than a pause to a client.
  const since = site.server().stderr().slice(logged);
  const ended = since.indexOf('a process that serves has ended');
  if (ended >= 0) blame(`a process that serves has ended: ${since.slice(0, ended).slice(-500)}`);
  return told;
}

/** @returns what adds the time since it was called last to one of the parts of a row */
function lapsOf(spentMs: Told['spentMs']): (part: keyof Told['spentMs']) => void {
  let last = performance.now();
  return (part) => {
    const now = performance.now();
    spentMs[part] += now - last;
    last = now;
  };
}

async function openStream(port: number, key: string): Promise<string> {
  const body = '{"stream_name":"bounds","points_per_chunk":100,"project_id":null}';
  const answer = await ask(port, 'POST', '/tool-state/stream/initialize', { key, body });
  if (answer.status !== 200) throw new Error(`initialize: ${answer.status} ${answer.body}`);
  return (JSON.parse(answer.body) as { data_id: string }).data_id;
}

function judge(
  figures: Figures,
  { marginMs, memoryMax, told, ingest = true }: { marginMs: number; memoryMax: number; told: Told } & Watching,
): void {
  const { chunks, runs, health, turnMs, residentMax } = figures;
  const mebibytes = (bytes: number) => `${shown(bytes / 2 ** 20)} MiB`;
  const stallMs = stallOf(figures);
  told.notes.unshift(
    `chunk ${shown(chunks.worstMs)} ms at worst of ${chunks.count}`,
    `run ${shown(runs.worstMs)} ms of ${runs.count}`,
    `stall ${shown(stallMs)} ms (/healthz ${shown(health.worstMs)} ms, event loop ${shown(turnMs)} ms)`,
    `memory ${mebibytes(residentMax)}`,
  );
  for (const [name, figure] of [['chunks', chunks] as const, ['runs', runs] as const].slice(0, ingest ? 2 : 0)) {
    if (figure.count === 0) told.blamed.push(`no ${name} were sent`);
    const many = `${figure.wrong} of ${figure.count} ${name} of somebody else were not served`;
    if (figure.wrong > 0) told.blamed.push([`${many}:`, ...figure.tells].join('\n    '));
    if (figure.worstMs > answerMsMax) told.blamed.push(`${name} of somebody else waited ${shown(figure.worstMs)} ms`);
  }
  if (health.wrong > 0) told.blamed.push([`/healthz was not answered:`, ...health.tells].join('\n    '));
  const bound = stallMsMax + marginMs;
  if (stallMs > bound) told.blamed.push(`nothing was answered for ${shown(stallMs)} ms, at most ${shown(bound)} ms`);
  if (residentMax > memoryMax) {
    told.blamed.push(`the server held ${mebibytes(residentMax)}, at most ${mebibytes(memoryMax)}`);
  }
}

/** @returns what tells how many processors programs that are none of this run have used since, on the whole */
function measureOthers(): () => number {
  const now = () => {
    const [, ...ticks] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.split(/ +/).map(Number) ?? [];
    // All but idle and waiting for disks.
    const busy = ticks.slice(0, 8).reduce((sum, one, i) => sum + (i === 3 || i === 4 ? 0 : one), 0) / 100;
    const own = Object.values(cpuSeconds(process.pid)).reduce((sum, one) => sum + one, 0);
    return { others: busy - own, at: performance.now() / 1_000 };
  };
  const before = now();
  return () => {
    const after = now();
    return Math.max(0, after.others - before.others) / (after.at - before.at);
  };
}

/** Waits until a server serves again after an attack. @returns the milliseconds; undefined when it does not within 5 s */
export async function untilCalm({ port }: Pick<Site, 'port'>, key: string): Promise<number | undefined> {
  const startedAt = performance.now();
  const body = '{"stream_name":"calm","points_per_chunk":100,"project_id":null}';
  while (performance.now() - startedAt < 5_000) {
    const answer = await ask(port(), 'POST', '/tool-state/stream/initialize', { key, body, answerMsMax: 1_000 });
    if (answer.status === 200 && answer.ms < 200) return performance.now() - startedAt;
    await sleep(20);
  }
  return undefined;
}
