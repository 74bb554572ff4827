import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { nodeFlags, nodePrograms } from '../../bench/support/processes.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));

/** The compiled program in a folder of its own, laid out as in the package, so that no other run can change it. */
export async function buildServer(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-built-'));
  const compiler = join(project, 'node_modules/typescript/bin/tsc');
  // Type errors are the business of `npm run check`.
  const args = [compiler, '-p', join(project, 'tsconfig.build.json'), '--noCheck', '--outDir', join(folder, 'dist')];
  await promisify(execFile)(process.execPath, args);
  for (const name of ['package.json', 'migrations', 'openapi.yaml'])
    await cp(join(project, name), join(folder, name), { recursive: true });
  // What is served as a file; only `npm run build` makes it.
  const assets = join('dist', 'assets');
  if (existsSync(join(project, assets))) await cp(join(project, assets), join(folder, assets), { recursive: true });
  await symlink(join(project, 'node_modules'), join(folder, 'node_modules'));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

export interface Program {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** How it ended. @throws when it has not within `msMax`; it is then killed. */
  exit(msMax?: number): Promise<{ code: number | null; signal: NodeJS.Signals | null; ms: number }>;
}

interface RunOptions {
  /** What comes on its standard input. */
  input?: string;
  /** A socket that it gets as systemd hands it over. */
  socket?: number;
  /** For Node, beside those that the server is started with. */
  flags?: readonly string[];
  /** A command that runs the rest of its arguments, such as `prlimit --nofile=128`. */
  before?: readonly string[];
}

/** Runs `dist/<script>` with these settings and no others of the project. */
export function run(
  folder: string,
  script: string,
  args: string[],
  settings: Record<string, string>,
  { input, flags = [], before = [], socket }: RunOptions = {},
): Program {
  const { PATH, HOME, LANG } = process.env;
  const startedAt = performance.now();
  const command = [...before, process.execPath, ...nodeFlags, ...flags, join(folder, 'dist', script), ...args];
  // LISTEN_PID is that of the process which becomes the server.
  const holder = socket === undefined ? [] : ['sh', '-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', 'sh'];
  const [file, ...rest] = [...holder, ...command] as [string, ...string[]];
  const child = spawn(file, rest, {
    cwd: folder,
    env: { PATH, HOME, LANG, ...settings },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', ...(socket === undefined ? [] : [socket])],
  });
  child.stdin?.end(input);
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
    });
  }
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; ms: number }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, ms: performance.now() - startedAt }));
  });
  return {
    child,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    async exit(msMax = 30_000) {
      const timer = new AbortController();
      const late = sleep(msMax, undefined, { signal: timer.signal }).catch(() => undefined);
      const how = await Promise.race([ended, late]);
      timer.abort();
      if (how !== undefined) return how;
      child.kill('SIGKILL');
      throw new Error(`still running after ${msMax} ms:\n${texts.stdout}\n${texts.stderr}`);
    },
  };
}

export interface Server extends Program {
  endpoint: string;
  /** Folder of the cluster. */
  place: string;
  /** Milliseconds from the start of the process to its welcome. */
  startMs: number;
}

/** Starts the server and comes back when it has printed its welcome. @throws with its output when it ends before. */
export async function serve(
  folder: string,
  settings: Record<string, string>,
  options: RunOptions = {},
): Promise<Server> {
  const startedAt = performance.now();
  const program = run(folder, 'main.js', [], { PORT: '0', ...settings }, options);
  while (!program.stdout().includes('timeseries_data)')) {
    if (program.child.exitCode !== null || performance.now() - startedAt > 60_000) {
      program.child.kill('SIGKILL');
      throw new Error(`the server did not start:\n${program.stdout()}\n${program.stderr()}`);
    }
    await sleep(5);
  }
  const startMs = performance.now() - startedAt;
  const endpoint = /Address {2}(\S+)/.exec(program.stdout())?.[1] ?? '';
  const place = /Data {5}(.+) \(embedded/.exec(program.stdout())?.[1] ?? '';
  return { ...program, endpoint, place, startMs };
}

/** The process ids of those that serve: the one that was started holds their sockets and serves nothing itself. */
export function servingPids({ child }: Pick<Program, 'child'>): number[] {
  return nodePrograms(child.pid as number).slice(1);
}

/** Whether a process is there and no zombie, which in a container without an init stays for ever. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const path = `/proc/${pid}/stat`;
    return !(existsSync(path) && readFileSync(path, 'utf8').includes(') Z '));
  } catch {
    return false;
  }
}
