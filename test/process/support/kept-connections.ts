import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Outcome {
  /** Of the answer, or the code of the error. */
  status: number | string;
  ms: number;
  /** What the answer says, when it is no 2xx. */
  says?: string;
}

export interface Load {
  outcomes: Outcome[];
  /** Sends no more, and comes back when all is answered. */
  stop(): Promise<Outcome[]>;
}

interface Options {
  connections: number;
  /** The next request of a connection comes after a pause between these. */
  pauseMs: [least: number, most: number];
  /** The body of the next request. */
  next(): { path: string; headers: Record<string, string>; body: string };
}

/** Clients that keep their connections, as `node:http` does it: none of them sends anything a second time. */
export function loadOnKeptConnections(endpoint: string, { connections, pauseMs, next }: Options): Load {
  const outcomes: Outcome[] = [];
  let isStopping = false;
  const clients = Array.from({ length: connections }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!isStopping) {
      outcomes.push(await send(endpoint, agent, next()));
      await sleep(pauseMs[0] + Math.random() * (pauseMs[1] - pauseMs[0]));
    }
    agent.destroy();
  });
  return {
    outcomes,
    async stop() {
      isStopping = true;
      await Promise.all(clients);
      return outcomes;
    },
  };
}

function send(endpoint: string, agent: Agent, { path, headers, body }: ReturnType<Options['next']>): Promise<Outcome> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const settle = (status: number | string, says = '') =>
      resolve({ status, ms: performance.now() - startedAt, ...(says !== '' && { says }) });
    const sent = request(`${endpoint}${path}`, { method: 'POST', agent, headers }, (answer) => {
      const status = answer.statusCode as number;
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      answer.on('end', () => settle(status, status < 300 ? '' : text));
      answer.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
    });
    sent.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
    sent.end(body);
  });
}
