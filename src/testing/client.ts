/*
 * The module `metrology-server/testing`: a server for the tests of a program that uses this API, for vitest, jest,
 * node:test and any other test runner. It starts `metrology-server test` and talks to it by HTTP only.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ReadyLine } from './ready-line.ts';
import type { Action, Fault, FaultBody, JournalEntry, JournalQuery, Match, When } from './wire.ts';

export type { Action, Fault, FaultBody, JournalEntry, JournalQuery, Match, ReadyLine, When };

export interface StartOptions {
  /** 0, the default, chooses a free port. */
  port?: number;
  /** With the same seed, the same sequence of requests gives the same ids, keys and random choices. */
  seed?: string | number;
  /** An empty folder for the data. It is kept at the end. */
  keep?: string;
  /** Settings that an operator sets by environment variables, such as `FINALIZE_GRACE_SECONDS`. */
  settings?: Record<string, string | number | boolean>;
  /** Longest time to start, in milliseconds; default 60,000. */
  startMsMax?: number;
}

/** Rules by which the server misbehaves. */
export interface FaultControl {
  add(rule: FaultBody): Promise<Fault>;
  list(): Promise<Fault[]>;
  /** Removes the rule with this id, or all rules. */
  remove(id?: number): Promise<void>;
}

/** What the server has received. */
export interface RequestControl {
  list(filter?: JournalQuery): Promise<JournalEntry[]>;
  /** Waits until `count` matching requests have arrived. @throws if they have not within `waitS` seconds, 5 by default */
  waitFor(count: number, filter?: JournalQuery, waitS?: number): Promise<JournalEntry[]>;
  clear(): Promise<void>;
}

export interface ClockControl {
  now(): Promise<Date>;
  /** Moves the clock on by some seconds from its present time. */
  advance(seconds: number): Promise<Date>;
  set(to: Date | string): Promise<Date>;
  /** Sets the clock back to the true time. */
  restore(): Promise<Date>;
}

/** An organization for one test. Faults and requests of this object are limited to this organization. */
export interface TestOrganization {
  url: string;
  apiKey: string;
  organizationId: string;
  name: string;
  faults: Pick<FaultControl, 'add'>;
  requests: Pick<RequestControl, 'list' | 'waitFor'>;
}

export interface TestServer extends AsyncDisposable {
  url: string;
  apiKey: string;
  organizationId: string;
  line: ReadyLine;
  newOrganization(options?: {
    name?: string;
    scopes?: ('read' | 'write' | 'delete' | 'admin')[];
    key_expires_in_s?: number;
  }): Promise<TestOrganization>;
  faults: FaultControl;
  requests: RequestControl;
  clock: ClockControl;
  /** Empties everything, and creates the first organization and its key again. */
  reset(): Promise<void>;
  /** Ends the server and its database. May be called again. */
  stop(): Promise<void>;
}

const program = fileURLToPath(new URL('../commands/metrology-server.js', import.meta.url));
const startMsMaxDefault = 60_000;

/**
 * Starts a server, and returns once it answers. The server ends with this process, however this process ends.
 * @throws Error with the output of the server when it does not start
 */
export async function startTestServer(options: StartOptions = {}): Promise<TestServer> {
  const { line, stop } = await launch(options);
  const ask = asking(line.url);
  const [faults, requests] = [faultControl(ask), requestControl(ask)];
  return {
    url: line.url,
    apiKey: line.api_key,
    organizationId: line.organization_id,
    line,
    faults,
    requests,
    clock: clockControl(ask),
    async newOrganization(body = {}) {
      const made = await ask<{ organization_id: string; api_key: string; name: string }>(
        'POST',
        '/organizations',
        body,
      );
      const own = { organization_id: made.organization_id };
      return {
        url: line.url,
        apiKey: made.api_key,
        organizationId: made.organization_id,
        name: made.name,
        faults: { add: (rule) => faults.add({ ...rule, match: { ...rule.match, ...own } }) },
        requests: {
          list: (filter) => requests.list({ ...filter, ...own }),
          waitFor: (count, filter, waitS) => requests.waitFor(count, { ...filter, ...own }, waitS),
        },
      };
    },
    reset: async () => void (await ask('POST', '/reset')),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function launch(options: StartOptions): Promise<{ line: ReadyLine; stop(): Promise<void> }> {
  const given = { port: options.port, seed: options.seed, keep: options.keep };
  const args = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
  const settings = Object.entries(options.settings ?? {}).map(([name, value]) => [name, String(value)]);
  const child = spawn(process.execPath, [program, 'test', ...args], {
    env: { ...process.env, ...Object.fromEntries(settings) },
    // When this process ends, its end of the pipe is closed, and the server ends too.
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-10_000);
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal ?? `code ${code}`));
  });
  const handles = [child, child.stdin, child.stdout, child.stderr] as { ref?(): void; unref?(): void }[];
  const stop = async () => {
    for (const handle of handles) handle.ref?.();
    child.stdin.destroy();
    await ended;
  };
  const first = new Promise<string>((resolve) => createInterface(child.stdout).once('line', resolve));
  const timer = new AbortController();
  const startMsMax = options.startMsMax ?? startMsMaxDefault;
  const late = AbortSignal.any([AbortSignal.timeout(startMsMax), timer.signal]);
  const tooLate = new Promise<undefined>((resolve) => late.addEventListener('abort', () => resolve(undefined)));
  const text = await Promise.race([first, ended.then(() => undefined), tooLate]);
  timer.abort();
  if (text !== undefined) {
    // The test runner may end while the server still runs. The closed pipe then ends the server.
    for (const handle of handles) handle.unref?.();
    return { line: JSON.parse(text) as ReadyLine, stop };
  }
  child.kill('SIGTERM');
  throw new Error(`the test server did not start (${await ended}, given ${startMsMax} ms):\n${said}`);
}

type Ask = <Answer>(method: string, path: string, body?: object) => Promise<Answer>;

function asking(url: string): Ask {
  return async <Answer>(method: string, path: string, body?: object) => {
    const sent = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const answer = await fetch(`${url}/_test${path}`, { method, ...sent });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} /_test${path} was answered ${answer.status}: ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as Answer;
  };
}

function faultControl(ask: Ask): FaultControl {
  return {
    add: (rule) => ask('POST', '/faults', rule),
    list: () => ask('GET', '/faults'),
    remove: (id) => ask('DELETE', id === undefined ? '/faults' : `/faults/${id}`),
  };
}

interface JournalAnswer {
  requests: JournalEntry[];
  has_count: boolean;
}

function requestControl(ask: Ask): RequestControl {
  const find = (query: JournalQuery) => {
    const entries = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]);
    return ask<JournalAnswer>('GET', `/requests?${new URLSearchParams(entries)}`);
  };
  return {
    list: async (filter = {}) => (await find(filter)).requests,
    async waitFor(count, filter = {}, waitS = 5) {
      const { requests, has_count } = await find({ ...filter, count, wait_s: waitS });
      if (has_count) return requests;
      const what = `${JSON.stringify(filter)} within ${waitS} s`;
      throw new Error(`${requests.length} requests, not ${count}, have come that fit ${what}`);
    },
    clear: () => ask('DELETE', '/requests'),
  };
}

function clockControl(ask: Ask): ClockControl {
  const dated = async (answer: Promise<{ now: string }>) => new Date((await answer).now);
  const move = (body: object) => dated(ask('POST', '/clock', body));
  return {
    now: () => dated(ask('GET', '/clock')),
    advance: (seconds) => move({ advance_s: seconds }),
    set: (to) => move({ at: new Date(to).toISOString() }),
    restore: () => move({ offset_s: 0 }),
  };
}
