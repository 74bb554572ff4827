import type { ChildProcess } from 'node:child_process';
import { AggregatorRegistry, type Registry } from 'prom-client';
import { type HttpLimits, httpLimits } from './limits.ts';

/*
 * The metrics of several processes as those of one server: one that is scraped asks the process that started it, which
 * asks all and adds up what they give. prom-client's own collecting waits five seconds for a process that is just
 * starting and then fails, so only its adding up is used.
 */

type Metrics = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

type MetricsLimits = Pick<HttpLimits, 'metricsMsMax'>;

type Message =
  | { type: 'metrics wanted'; id: number }
  /** Without a text there is nobody but who asks. */
  | { type: 'metrics of all'; id: number; text?: string }
  | { type: 'metrics of one wanted'; id: number }
  | { type: 'metrics of one'; id: number; metrics: Metrics };

/** A process that has just died still counts as connected. Without a callback its broken channel would end this process. */
const unheard = () => {};

/**
 * In the process that has started those that serve: answers one of them.
 * @param all those that serve now
 */
export function answerMetrics(
  child: ChildProcess,
  all: () => ChildProcess[],
  { metricsMsMax }: MetricsLimits = httpLimits,
): void {
  child.on('message', async (message: Message) => {
    if (message.type !== 'metrics wanted') return;
    const asked = all();
    const text = asked.every((one) => one === child) ? undefined : await sumOf(asked, metricsMsMax);
    if (child.connected) child.send({ type: 'metrics of all', id: message.id, text }, unheard);
  });
}

async function sumOf(children: ChildProcess[], waitMsMax: number): Promise<string> {
  const collected = await Promise.all(children.map((child) => metricsOf(child, waitMsMax)));
  const given = collected.filter((one) => one !== undefined);
  return AggregatorRegistry.aggregate(given as unknown as object[]).metrics();
}

async function metricsOf(child: ChildProcess, waitMsMax: number): Promise<Metrics | undefined> {
  if (!child.connected) return undefined;
  const answer = await ask(child, 'metrics of one wanted', 'metrics of one', waitMsMax);
  return answer?.type === 'metrics of one' ? answer.metrics : undefined;
}

/** Where a process that serves asks for the metrics of all, and gives its own. */
export interface MetricsOfAll {
  /** Lets these be collected from now on. */
  share(registry: Registry): void;
  /** All, in the Prometheus text format; these alone when nobody answers in time. */
  text(registry: Registry): Promise<string>;
}

/** By the channel to the process that has started this one. */
export function metricsThrough(channel: NodeJS.Process, { metricsMsMax }: MetricsLimits = httpLimits): MetricsOfAll {
  return {
    share(registry) {
      channel.on('message', async (message: Message) => {
        if (message.type !== 'metrics of one wanted') return;
        const metrics = await registry.getMetricsAsJSON();
        channel.send?.({ type: 'metrics of one', id: message.id, metrics }, unheard);
      });
    },
    async text(registry) {
      const answer = await ask(channel, 'metrics wanted', 'metrics of all', 2 * metricsMsMax);
      return (answer?.type === 'metrics of all' ? answer.text : undefined) ?? registry.metrics();
    },
  };
}

let asked = 0;

/** Sends a question over a channel between processes and waits for the answer with its number, if one comes in time. */
function ask(
  channel: ChildProcess | NodeJS.Process,
  question: Message['type'],
  answer: Message['type'],
  waitMsMax: number,
): Promise<Message | undefined> {
  const id = ++asked;
  return new Promise((resolve) => {
    const settle = (message?: Message) => {
      clearTimeout(timer);
      channel.off('message', onMessage);
      resolve(message);
    };
    const onMessage = (message: Message) => {
      if (message.id === id && message.type === answer) settle(message);
    };
    const timer = setTimeout(() => settle(), waitMsMax);
    channel.on('message', onMessage);
    (channel as { send?(message: object, sent: () => void): void }).send?.({ type: question, id }, unheard);
  });
}
