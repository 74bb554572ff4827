import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Load, type Measured, measure } from './load.ts';
import { startNodeTarget } from './node-targets.ts';
import type { Options } from './options.ts';
import { startDiscard, startInfluxdb, startVictoriaMetrics } from './other-targets.ts';
import { type Format, makeMix, makeVariants, mixKinds, type Variant, writeVariants } from './payload.ts';
import type { Target, TargetKind } from './target.ts';

/** What a row measures with: servers, which run while they are needed, and loads for them. */
export interface Bench {
  options: Options;
  /** A temporary folder for files of a row. */
  folder: string;
  /** Runs `work` on a server with a database of its own, which is removed afterwards. */
  on<Value>(kind: TargetKind, work: (target: Target) => Promise<Value>): Promise<Value>;
  /** Opens new streams and makes a load for them. */
  loadFor(target: Target, wish: LoadWish): Promise<Load>;
  /** Measures a load of new streams on a new server, as fast as it can take it. */
  measureOn(kind: TargetKind, wish: LoadWish): Promise<Measured>;
  say(text: string): void;
  /** Stops all servers. May be called again and gives the same promise. */
  close(): Promise<void>;
}

export interface LoadWish {
  format: Format;
  points: number;
  channels?: number;
  /** The mix as labs send it, instead of random values of nine decimals. */
  isMix?: boolean;
}

const nodeKinds = ['ours', 'ceiling', 'straightforward'] as const;

/** The least number of different values that a load draws from. */
const valuesAtLeast = { full: 80_000, tiny: 1_000 };

export function openBench(options: Options, say: (text: string) => void): Bench {
  const folder = mkdtempSync(join(tmpdir(), 'metrology-bench-data-'));
  const running = new Map<Target, string>();
  const starts = new Set<Promise<Target>>();
  const kept = new Map<TargetKind, Promise<Target>>();
  const variants = new Map<string, { variants: Variant[]; file: string }>();
  let started = 0;
  let closing: Promise<void> | undefined;

  async function start(kind: TargetKind): Promise<Target> {
    if (closing !== undefined) throw new Error('the bench is being stopped');
    const own = join(folder, `${kind}-${++started}`);
    mkdirSync(own);
    const starting = startTarget(kind, options, own).then((target) => {
      running.set(target, own);
      return target;
    });
    starts.add(starting);
    return starting.finally(() => starts.delete(starting));
  }

  async function stop(target: Target): Promise<void> {
    const own = running.get(target);
    if (own === undefined) return;
    running.delete(target);
    await target.stop();
    rmSync(own, { recursive: true, force: true });
  }

  function keep(kind: TargetKind): Promise<Target> {
    const target = kept.get(kind) ?? start(kind);
    kept.set(kind, target);
    return target;
  }

  async function stopAll(): Promise<void> {
    await Promise.allSettled(starts);
    await Promise.all([...running.keys()].map(stop));
    rmSync(folder, { recursive: true, force: true });
  }

  // To start these servers takes longer than the tiny loads, so all start now. A row that uses one sees why its start failed.
  if (options.tiny) for (const kind of nodeKinds) keep(kind).catch(() => {});

  const bench: Bench = {
    options,
    folder,
    say,
    async on(kind, work) {
      if (options.tiny) return work(await keep(kind));
      const target = await start(kind);
      try {
        return await work(target);
      } finally {
        await stop(target);
      }
    },
    async loadFor(target, { format, points, channels = 1, isMix = false }) {
      // The prepared lines for InfluxDB contain the stream, so a variant must belong to one stream.
      if (isMix && mixKinds % options.streams !== 0) throw new Error(`a mix goes to a divisor of ${mixKinds} streams`);
      const streams = await target.openStreams(options.streams, points);
      const name = `${isMix ? 'mix' : 'variants'}-${points}`;
      let made = variants.get(name);
      if (made === undefined) {
        const atLeast = options.tiny ? valuesAtLeast.tiny : valuesAtLeast.full;
        const list = isMix ? makeMix(points, atLeast) : makeVariants(points, options.streams, atLeast);
        const own = join(folder, name);
        mkdirSync(own);
        made = { variants: list, file: writeVariants(own, list) };
        variants.set(name, made);
      }
      const payload = { format, points, channels, streams, variants: made.variants, isMix };
      return { format, payload, variantsFile: made.file };
    },
    measureOn: (kind, wish) =>
      bench.on(kind, async (target) => {
        const measured = await measure(target, await bench.loadFor(target, wish), options);
        say(`${target.name}: ${Math.round(measured.requestsPerSecond)} requests/s, ${describeCpu(measured)}`);
        return measured;
      }),
    close() {
      closing ??= stopAll();
      return closing;
    },
  };
  return bench;
}

export function describeCpu({ cpuMicroseconds }: Measured): string {
  const parts = Object.entries(cpuMicroseconds).filter(([, microseconds]) => microseconds > 0);
  return `µs of processor per request: ${parts.map(([name, microseconds]) => `${name} ${microseconds}`).join(', ')}`;
}

function startTarget(kind: TargetKind, options: Options, folder: string): Promise<Target> {
  switch (kind) {
    case 'victoria':
      return startVictoriaMetrics(folder);
    case 'influx':
      return startInfluxdb(folder);
    case 'discard':
      return startDiscard();
    default:
      return startNodeTarget(kind, options, folder);
  }
}
