import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Deferred, deferred } from './deferred.ts';
import { casesFolder } from './places.ts';

export interface CaseModule {
  readonly title: string;
  readonly cases: readonly Case[];
}

export interface Case {
  readonly id: string;
  readonly title: string;
  /** What a release has to have for the case to apply to it. */
  readonly needs: readonly string[];
}

export interface CaseReport {
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** For a case that did not pass: Python's traceback and output, then the server's last lines. */
  readonly text: string;
}

export interface PythonRun {
  /** Waits for the case with this pytest id. */
  report(id: string): Promise<CaseReport>;
  /** Resolves when the last case has ended. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export interface RunInput {
  readonly python: string;
  readonly cases: readonly string[];
  readonly env: Record<string, string>;
  readonly serverLog: () => string;
}

interface Message {
  readonly event: 'start' | 'end';
  readonly id: string;
  readonly outcome: CaseReport['outcome'];
  readonly text: string;
}

interface RunEnd {
  readonly ended: ReadonlySet<string>;
  readonly running: string | undefined;
  readonly said: string;
  readonly code: string;
}

// Standard error is left alone (capture=sys) for the SDK's own log and for the watchdog's traceback.
const pytestOptions = [
  '-q',
  '--rootdir=.',
  '-p',
  'no:cacheprovider',
  '--capture=sys',
  '--continue-on-collection-errors',
];

/** The cases as the Python sources name them, read without running Python, so that a broken one still counts. */
export async function listCases(): Promise<CaseModule[]> {
  const files = (await readdir(casesFolder)).filter((file) => /^test_\w+\.py$/.test(file)).sort();
  return Promise.all(files.map(readModule));
}

/**
 * Runs the cases in order in one Python process, which is started again behind a case that killed it or hung:
 * that case fails, the ones behind it still run.
 */
export function startCases(input: RunInput): PythonRun {
  const pending = new Map(input.cases.map((id) => [id, deferred<CaseReport>()]));
  let child: ChildProcess | undefined;
  let stopped = false;

  const work = (async () => {
    let remaining = [...input.cases];
    while (remaining.length > 0 && !stopped) {
      const { ended, running, said, code } = await runOnce(input, remaining, pending, (started) => {
        child = started;
      });
      remaining = remaining.filter((id) => !ended.has(id));
      // With no case under way the fault is not one case's (a module that does not load), so none of them can run.
      const blamed = running === undefined ? remaining : [running];
      const text = `Python ended (${code}) before this case did:\n${said}\n${input.serverLog()}`;
      for (const id of blamed) pending.get(id)?.resolve({ outcome: 'failed', text });
      remaining = remaining.filter((id) => !blamed.includes(id));
    }
  })();

  return {
    ended: work,
    report: (id) => pending.get(id)?.promise ?? Promise.reject(new Error(`No such case: ${id}`)),
    stop: async () => {
      stopped = true;
      child?.kill('SIGKILL');
      await work;
    },
  };
}

async function readModule(file: string): Promise<CaseModule> {
  const source = await readFile(join(casesFolder, file), 'utf8');
  const title = /^"""(.+?)["\n]/.exec(source)?.[1] ?? file;
  const ofAll = words(/^NEEDS = \(([^)]*)\)/m.exec(source)?.[1]);
  const found = [...source.matchAll(/^(?:@needs\(([^)]*)\)\n)?def test_(\w+)\(/gm)];
  const cases = found.map(([, needs, name = '']) => ({
    id: `${file}::test_${name}`,
    title: name.replaceAll('_', ' '),
    needs: [...ofAll, ...words(needs)],
  }));
  return { title, cases };
}

function words(list = ''): string[] {
  return [...list.matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? '');
}

async function runOnce(
  input: RunInput,
  ids: readonly string[],
  pending: ReadonlyMap<string, Deferred<CaseReport>>,
  onStart: (child: ChildProcess) => void,
): Promise<RunEnd> {
  // Whole files, of which the ids are selected: asked for by id, one file that does not load would stop all others.
  const files = [...new Set(ids.map((id) => id.replace(/::.*/, '')))];
  const child = spawn(input.python, ['-m', 'pytest', ...pytestOptions, ...files], {
    cwd: casesFolder,
    env: {
      ...process.env,
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONUNBUFFERED: '1',
      ...input.env,
      SDK_CASES: ids.join('\n'),
      SDK_REPORT_FD: '3',
    },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  onStart(child);
  const ended = new Set<string>();
  let running: string | undefined;
  let said = '';
  const keep = (text: string) => {
    said = (said + text).slice(-16_000);
  };
  child.stdout?.setEncoding('utf8').on('data', keep);
  child.stderr?.setEncoding('utf8').on('data', keep);
  const messages = createInterface({ input: child.stdio[3] as Readable });
  messages.on('line', (line) => {
    const message = JSON.parse(line) as Message;
    running = message.event === 'start' ? message.id : undefined;
    if (message.event === 'start') return;
    ended.add(message.id);
    const text = message.outcome === 'passed' ? '' : `${message.text}\n${input.serverLog()}`;
    pending.get(message.id)?.resolve({ outcome: message.outcome, text });
  });
  const code = await new Promise<string>((resolve) => {
    child.on('error', (reason) => resolve(reason.message));
    child.on('close', (number, signal) => resolve(String(signal ?? number)));
  });
  return { ended, running, said, code };
}
