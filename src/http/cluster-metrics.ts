import cluster, { type Worker } from 'node:cluster';
import { AggregatorRegistry, type Registry } from 'prom-client';

/*
 * The metrics of several workers as those of one server: a worker that is scraped asks the process that started it, which
 * asks all workers and adds up what they give. prom-client's own collecting waits five seconds for a worker that is just
 * starting and then fails, so only its adding up is used.
 */

type Metrics = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

type Message =
  | { type: 'metrics wanted'; id: number }
  | { type: 'metrics of all'; id: number; text: string }
  | { type: 'metrics of one wanted'; id: number }
  | { type: 'metrics of one'; id: number; metrics: Metrics };

/** Longest wait for a worker that has much to do; without its answer the others are added up. */
const answerMsMax = 2_000;

/** A process that has just died still counts as connected. Without a callback its broken channel would end this process. */
const unheard = () => {};

/** In the process that starts the workers: answers them. */
export function answerMetrics(): void {
  const listening = new Set<Worker>();
  cluster.on('listening', (worker) => listening.add(worker));
  cluster.on('exit', (worker) => listening.delete(worker));
  cluster.on('message', async (worker, message: Message) => {
    if (message.type !== 'metrics wanted') return;
    const collected = await Promise.all([...listening].map(metricsOf));
    const sum = AggregatorRegistry.aggregate(collected.filter((one) => one !== undefined) as unknown as object[]);
    const answer = { type: 'metrics of all', id: message.id, text: await sum.metrics() };
    if (worker.isConnected()) worker.send(answer, unheard);
  });
}

async function metricsOf(worker: Worker): Promise<Metrics | undefined> {
  if (!worker.isConnected()) return undefined;
  const answer = await ask(worker, 'metrics of one wanted', 'metrics of one', answerMsMax);
  return answer?.type === 'metrics of one' ? answer.metrics : undefined;
}

/** In a worker: lets its metrics be collected, from its start on. */
export function shareMetrics(registry: Registry): void {
  if (!cluster.isWorker) return;
  process.on('message', async (message: Message) => {
    if (message.type !== 'metrics of one wanted') return;
    process.send?.({ type: 'metrics of one', id: message.id, metrics: await registry.getMetricsAsJSON() });
  });
}

/** The metrics of the server that this process is, or is a worker of, in the Prometheus text format. */
export async function metricsText(registry: Registry): Promise<string> {
  if (!cluster.isWorker) return registry.metrics();
  const answer = await ask(process, 'metrics wanted', 'metrics of all', 2 * answerMsMax);
  return answer?.type === 'metrics of all' ? answer.text : registry.metrics();
}

let asked = 0;

/** Sends a question over a channel between processes and waits for the answer with its number, if one comes in time. */
function ask(
  channel: Worker | NodeJS.Process,
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
