import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type NodeLoad, type OpenLoopResult, runClosedLoop, runOpenLoop } from './node-load.ts';
import type { Options } from './options.ts';
import { bodyOf, type Format, firstPeriod, mixKinds, type Payload } from './payload.ts';
import { cpuSeconds } from './processes.ts';
import type { Route, Target } from './target.ts';

export interface Load {
  format: Format;
  payload: Payload;
  /** The variants of the payload, as a file. */
  variantsFile: string;
  /** Ends the load after this many requests; without it the load ends after the seconds of the options. */
  requestsMax?: number;
  /** True when everything was sent before, so that the stored points must stay the same. */
  isReplay?: boolean;
}

export interface Measured {
  requestsPerSecond: number;
  pointsPerSecond: number;
  /** Requests that were sent and answered, without the probe. */
  sent: number;
  /** Processor time for each request in microseconds, by program: of the generator, and of the programs of the server. */
  cpuMicroseconds: Record<string, number>;
}

/**
 * Loads a target as fast as its connections allow.
 * @throws when one answer is not the expected one, or when the stored points do not add up
 */
export async function measure(target: Target, load: Load, options: Options): Promise<Measured> {
  const { payload } = load;
  const route = routeOf(target, load.format);
  const before = await target.storedPoints();
  await probe(target, route, bodyOf(payload, 0));
  const cpuBefore = cpuSeconds(target.pid);
  const run = options.generator === 'wrk' ? runWrk : runNode;
  const { sent, counted, countedSeconds, generatorSeconds } = await run(target, route, load, options);
  const cpuAfter = cpuSeconds(target.pid);
  const perRequest = payload.points * payload.channels;
  const expected = load.isReplay ? 0 : (sent + 1) * perRequest;
  const stored = (await target.storedPoints()) - before;
  if (target.kind !== 'discard' && stored !== expected) {
    throw new Error(`${target.name}: ${sent + 1} requests were acknowledged, so ${expected} points; stored ${stored}`);
  }
  if (!(counted > 0 && countedSeconds > 0)) throw new Error(`${target.name}: nothing was answered while it counted`);
  const cpu = Object.entries(cpuAfter).map(([name, seconds]) => [name, seconds - (cpuBefore[name] ?? 0)] as const);
  const cpuMicroseconds = [['generator', generatorSeconds] as const, ...cpu].map(
    ([name, seconds]) => [name, Math.round((seconds * 1e6) / sent)] as const,
  );
  const requestsPerSecond = counted / countedSeconds;
  return {
    requestsPerSecond,
    pointsPerSecond: requestsPerSecond * perRequest,
    sent,
    cpuMicroseconds: Object.fromEntries(cpuMicroseconds),
  };
}

/** Sends requests at fixed times and measures their latency. @throws as `measure` does */
export async function watchLatency(
  target: Target,
  load: Load,
  { connections, perSecond, seconds }: { connections: number; perSecond: number; seconds: number },
): Promise<OpenLoopResult> {
  const before = await target.storedPoints();
  const result = await runOpenLoop(nodeLoad(target, load, connections), { perSecond, seconds });
  const expected = result.sent * load.payload.points * load.payload.channels;
  const stored = (await target.storedPoints()) - before;
  if (stored !== expected)
    throw new Error(`${target.name}: ${expected} points were acknowledged, ${stored} are stored`);
  return result;
}

function routeOf(target: Target, format: Format): Route {
  const route = target.routes[format];
  if (route === undefined) throw new Error(`${target.name} takes no ${format}`);
  return route;
}

/** Sends the first request and checks its answer, since wrk does not tell one 2xx from another. */
async function probe(target: Target, route: Route, body: string): Promise<void> {
  const answer = await fetch(target.url + route.path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...route.headers },
    body,
  });
  const text = await answer.text();
  if (answer.status !== route.expectedStatus) throw new Error(`${target.name} answered ${answer.status}: ${text}`);
}

interface Run {
  sent: number;
  counted: number;
  countedSeconds: number;
  generatorSeconds: number;
}

const script = fileURLToPath(new URL('../load/chunks.lua', import.meta.url));

async function runWrk(target: Target, route: Route, load: Load, options: Options): Promise<Run> {
  const isTimed = load.requestsMax === undefined;
  const settings = {
    FORMAT: load.format,
    STREAMS: load.payload.streams.join(','),
    VARIANTS: load.variantsFile,
    CHANNELS: load.payload.channels,
    KINDS: load.payload.isMix ? mixKinds : 0,
    PERIOD: firstPeriod,
    // The first request of every stream is left to the probe.
    FIRST: load.payload.streams.length,
    PATH: route.path,
    KEY: target.key,
    WARM: isTimed ? options.warmSeconds : 0,
    SECONDS: isTimed ? options.seconds : 86_400,
    REQUESTS: load.requestsMax ?? Number.MAX_SAFE_INTEGER,
    CONNECTIONS: options.connections,
  };
  const env = Object.fromEntries(Object.entries(settings).map(([name, value]) => [`LOAD_${name}`, String(value)]));
  const args = ['-t1', `-c${options.connections}`, '-d3600s', '--timeout', '30s', '-s', script, target.url];
  const wrk = spawn('wrk', args, { env: { PATH: process.env.PATH, ...env } });
  let output = '';
  let complaints = '';
  let generatorSeconds = 0;
  wrk.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  wrk.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
    if (!complaints.includes('drained') || generatorSeconds > 0) return;
    generatorSeconds = Math.max(cpuSeconds(wrk.pid ?? 0).wrk ?? 0, Number.MIN_VALUE);
    wrk.kill('SIGINT');
  });
  const giveUp = setTimeout(() => wrk.kill('SIGKILL'), loadSecondsMax(load, options) * 1_000);
  await new Promise((resolve, reject) => wrk.once('close', resolve).once('error', reject));
  clearTimeout(giveUp);
  const line = output.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`wrk did not come to its end on ${target.name}: ${complaints}\n${output}`);
  const result = JSON.parse(line) as Run & { refused: number; broken: number };
  if (result.refused > 0 || result.broken > 0) {
    throw new Error(`${target.name}: ${result.refused} answers were refusals, ${result.broken} requests broke`);
  }
  return { ...result, generatorSeconds };
}

/** A time-out in seconds, far more than the load can need. */
function loadSecondsMax({ requestsMax }: Load, options: Options): number {
  const slowestPerSecond = 200;
  return 60 + options.warmSeconds + options.seconds + (requestsMax ?? 0) / slowestPerSecond;
}

async function runNode(target: Target, _route: Route, load: Load, options: Options): Promise<Run> {
  const cpuBefore = process.cpuUsage();
  const isTimed = load.requestsMax === undefined;
  const result = await runClosedLoop(nodeLoad(target, load, options.connections), {
    warmSeconds: isTimed ? options.warmSeconds : 0,
    seconds: isTimed ? options.seconds : loadSecondsMax(load, options),
    requestsMax: load.requestsMax ?? Number.MAX_SAFE_INTEGER,
  });
  const { user, system } = process.cpuUsage(cpuBefore);
  return { ...result, generatorSeconds: (user + system) / 1e6 };
}

function nodeLoad(target: Target, { format, payload }: Load, connections: number): NodeLoad {
  const route = routeOf(target, format);
  const first = payload.streams.length;
  return { ...route, url: target.url, connections, body: (n) => bodyOf(payload, first + n) };
}
