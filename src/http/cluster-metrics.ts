import type { ChildProcess } from 'node:child_process';
import { AggregatorRegistry, type Registry } from 'prom-client';
import { type HttpLimits, httpLimits } from './limits.ts';

/*
 * Combines the metrics of several processes into those of one server. A process that is scraped asks its parent
 * process, which asks all processes and aggregates their answers. Only the aggregation is prom-client's: its own way to
 * collect waits five seconds for a process that is just starting, and then fails.
 */

type Metrics = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

type MetricsLimits = Pick<HttpLimits, 'metricsMsMax'>;

type Message =
  | { type: 'metrics wanted'; id: number }
  /** Without a text when the process that asks is the only one. */
  | { type: 'metrics of all'; id: number; text?: string }
  | { type: 'metrics of one wanted'; id: number }
  | { type: 'metrics of one'; id: number; metrics: Metrics };

/**
 * Ignores an error of `send`. A process that has just died still counts as connected, and without a callback the error
 * would end this process.
 */
const unheard = () => {};

/**
 * In the parent process: answers a child that asks for the metrics of all.
 * @param all the children that serve now
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

/** In a process that serves: gives its own metrics, and asks for those of all. */
export interface MetricsOfAll {
  /** Answers requests for this process's metrics from now on. */
  share(registry: Registry): void;
  /**
   * The metrics of all processes in the Prometheus text format; those of `registry` alone when no answer comes in time.
   */
  text(registry: Registry): Promise<string>;
}

/** Uses the message channel to the parent process. */
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

/** Sends a question to another process and waits for the answer with the same id. @returns undefined when it is late */
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
