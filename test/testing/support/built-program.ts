import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { StartOptions, TestServer } from '../../../src/testing/client.ts';
import type { ReadyLine } from '../../../src/testing/ready-line.ts';
import { toJson } from '../../support/test-server.ts';

export const project = fileURLToPath(new URL('../../..', import.meta.url));
export const program = `${project}dist/commands/metrology-server.js`;

export interface Started {
  child: ChildProcess;
  line: ReadyLine;
  /** Milliseconds from the start of the process to its line. */
  readyMs: number;
  /** All that came on standard output so far. */
  said(): string;
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

export interface StartHow {
  args?: string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  stdin?: 'pipe' | 'ignore';
  uid?: number;
  gid?: number;
  program?: string;
  /** Lines of a shell before the program: its umask, its limits. */
  before?: string;
}

/** Runs `metrology-server test` and waits for its line. @throws with its standard error when it ends before */
export async function startProgram({ args = [], stdin = 'pipe', ...how }: StartHow = {}): Promise<Started> {
  const startedAt = performance.now();
  const command = [process.execPath, how.program ?? program, 'test', ...args];
  const child = spawn('/bin/sh', ['-c', `${how.before ?? ':'}; exec "$@"`, 'sh', ...command], {
    cwd: how.cwd ?? project,
    env: how.env ?? process.env,
    stdio: [stdin, 'pipe', 'pipe'],
    ...(how.uid !== undefined && { uid: how.uid, gid: how.gid ?? how.uid }),
  });
  let [out, error] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    error += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  const line = new Promise<string>((resolve) => createInterface(child.stdout as never).once('line', resolve));
  const first = await Promise.race([line, ended]);
  if (typeof first !== 'string') throw new Error(`it has ended (${JSON.stringify(first)}): ${error}`);
  const readyMs = performance.now() - startedAt;
  return { child, line: JSON.parse(first) as ReadyLine, readyMs, said: () => out, ended };
}

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  json: any;
  headers: Headers;
}

/** Sends requests under a key. */
export function clientOf(url: string, key: string) {
  return async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const sent = body !== undefined && { body: toJson(body) };
    const headers = { 'x-api-key': key, ...(sent && { 'content-type': 'application/json' }) };
    const answer = await fetch(`${url}${path}`, { method, headers, ...sent });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, json: parsed(text) };
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What docs/testing.md shows of these files, in order: the same file may be shown again, as it is then. */
export async function shownFiles(language: 'python' | 'ts'): Promise<{ name: string; text: string }[]> {
  const page = await readFile(`${project}docs/testing.md`, 'utf8');
  const blocks = [...page.matchAll(/^```(python|ts)\n(?:#|\/\/) ([\w.-]+)\n([\s\S]*?)^```$/gm)];
  return blocks
    .filter(([, of]) => of === language)
    .map(([, , name, text]) => ({ name: name as string, text: text as string }));
}

/** A chunk of two points. */
export const chunkOf = (data_id: string, chunk_index: number, channel_name = 'pressure') => ({
  data_id,
  chunk_index,
  channel_name,
  timestamps: [1_705_312_200 + 2 * chunk_index, 1_705_312_201 + 2 * chunk_index],
  values: [chunk_index, chunk_index + 0.5],
});

/** As a user of the package starts it, from `dist`. */
export async function startBuilt(options: StartOptions = {}): Promise<TestServer> {
  const { startTestServer } = (await import(
    `${project}dist/testing/client.js`
  )) as typeof import('../../../src/testing/client.ts');
  return startTestServer(options);
}
