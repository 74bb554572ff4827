import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { nameOf, type Release } from '../support/releases.ts';
import { runToEnd } from '../support/run-to-end.ts';
import { withPlaceholders } from './placeholders.ts';
import type { Exchange, Step, Transcript } from './transcript.ts';

const driveMsMax = 90_000;
const startMsMax = 10_000;

type Recorded = Exchange & { readonly step: string };
type Driven = Omit<Step, 'exchanges'>;

/** Drives a release through one acquisition, through a proxy that writes down what it sends. @throws with its words. */
export async function record(release: Release, server: { url: string; key: string }): Promise<Transcript> {
  if (release.installed === undefined) throw new Error(release.failure);
  const { python, environment, has } = release.installed;
  const proxy = await startProxy(server.url);
  try {
    const said = await runToEnd(python, [resolve(import.meta.dirname, 'drive.py')], {
      msMax: driveMsMax,
      env: {
        ...process.env,
        ...environment,
        PYTHONDONTWRITEBYTECODE: '1',
        SDK_PACKAGE: release.package,
        SDK_HAS: [...has].join('\n'),
        SDK_ENDPOINT: server.url,
        SDK_PROXY: proxy.url,
        SDK_KEY: server.key,
      },
    });
    const driven = said
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Driven);
    // The last line of the proxy may still be on its way.
    await sleep(100);
    const { package: name, version, generation } = release;
    return { package: name, version, generation, steps: stepsOf(driven, proxy.recorded()) };
  } catch (reason) {
    throw new Error(`${nameOf(release)} was not recorded: ${(reason as Error).message}`);
  } finally {
    await proxy.stop();
  }
}

function stepsOf(driven: readonly Driven[], recorded: readonly Recorded[]): Step[] {
  const replaced = withPlaceholders();
  const isClock = ({ path }: Exchange) => path.endsWith('/gateway/time');
  // The clock is asked again and again beside all steps; once says it.
  const clock = recorded.find(isClock);
  const named = recorded
    .filter((exchange) => exchange === clock || !isClock(exchange))
    .map(({ step, ...exchange }) => ({ step, exchange: replaced(exchange, step) }));
  return driven.map((one) => ({
    ...one,
    detail: one.detail.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<id>'),
    exchanges: inOrder(named.filter(({ step }) => step === one.step).map(({ exchange }) => exchange)),
  }));
}

/** Chunks of one step leave side by side, so only by name do they have an order that is the same in every run. */
function inOrder(exchanges: readonly Exchange[]): Exchange[] {
  const isChunk = ({ path }: Exchange) => path.endsWith('/chunk');
  const chunks = exchanges.filter(isChunk).sort((one, other) => ((one.body ?? '') < (other.body ?? '') ? -1 : 1));
  return exchanges.map((exchange) => (isChunk(exchange) ? (chunks.shift() ?? exchange) : exchange));
}

async function startProxy(target: string) {
  const child = spawn(process.execPath, [resolve(import.meta.dirname, 'proxy.mjs'), target], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const ended = new Promise<void>((settle) => child.once('close', () => settle()));
  const giveUpAtMs = Date.now() + startMsMax;
  while (lines.length === 0) {
    if (child.exitCode !== null || Date.now() > giveUpAtMs) throw new Error('The recording proxy did not start');
    await sleep(20);
  }
  return {
    url: lines[0] ?? '',
    recorded: () => lines.slice(1).map((line) => JSON.parse(line) as Recorded),
    async stop() {
      child.kill('SIGKILL');
      await ended;
      reader.close();
    },
  };
}
