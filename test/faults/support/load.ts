import { setTimeout as sleep } from 'node:timers/promises';
import { sendAsSdk, triesOnce, triesThrice } from './as-sdk.ts';
import { type ChunkRequest, openStream, prefixes, type Sent } from './chunks.ts';
import type { Client } from './client.ts';
import type { Run } from './run.ts';

/** Writers that send all the time, each its next request when the last one is stored or given up as the SDK gives up. */
export interface Load {
  dataIds: string[];
  /** ms from now until a request that begins from now on is acknowledged. @throws after 60 s */
  untilStored(): Promise<number>;
  /** Every writer ends its request: a minute and a half at most, which is what three tries take. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  clients: readonly Client[];
  writers: number;
  streams: number;
  /** Statuses that the fault may cause besides 201. */
  mayAnswer?: readonly number[];
  /** Called with every answer and failure; the writer goes on when it is done. */
  onSent?: (sent: Sent, request: ChunkRequest) => void | Promise<void>;
}

const channelNames = ['p', 'thickness_layer_1', 'T ü/%', 'mse'];

/**
 * Starts writers on new streams. They send new chunks, single and of several channels, now and then an old one again, and
 * now and then other content for an old one. They try three times, as the SDK does; one chunk in eight once, as its older
 * releases did, so that the audit also sees what became of a request that nobody repeated. Each writer has its own indexes,
 * so what must stand is known exactly.
 */
export async function startLoad(run: Run, options: LoadOptions): Promise<Load> {
  const { clients, writers, streams, mayAnswer = [], onSent } = options;
  const { random, history } = run;
  const first = clients[0] as Client;
  const dataIds = await Promise.all(
    Array.from({ length: streams }, () => openStream(first, random.pick(prefixes), random.integer(1, 100))),
  );
  let stopping = false;
  const waiting: { from: number; resolve: (ms: number) => void }[] = [];

  function nextRequest(writer: number, number: number, past: ChunkRequest[]): ChunkRequest {
    const old = past.length > 0 ? random.pick(past) : undefined;
    if (old !== undefined && random.chance(0.15)) return { ...old, prefix: random.pick(prefixes) };
    if (old !== undefined && random.chance(0.1)) {
      const position = past.indexOf(old);
      const replaced = { ...old, channels: old.channels.map(([name]) => [name, run.newContent()] as const) };
      past[position] = replaced;
      return replaced;
    }
    const width = random.chance(0.4) ? random.integer(2, channelNames.length) : 1;
    const from = random.integer(0, channelNames.length - width);
    const request: ChunkRequest = {
      dataId: random.pick(dataIds),
      index: number * writers + writer,
      channels: channelNames.slice(from, from + width).map((name) => [name, run.newContent()] as const),
      prefix: random.pick(prefixes),
    };
    past.push(request);
    return request;
  }

  async function write(writer: number): Promise<void> {
    const client = clients[writer % clients.length] as Client;
    const past: ChunkRequest[] = [];
    for (let number = 0; !stopping; number++) {
      const request = nextRequest(writer, number, past);
      if (past.length > 200) past.shift();
      const isNew = request === past.at(-1);
      const generation = isNew && random.chance(0.125) ? triesOnce : triesThrice;
      const sent = await sendAsSdk(client, history, `writer ${writer}`, request, generation, async (one) => {
        judge(one, request);
        await onSent?.(one, request);
      });
      if (!sent.isGivenUp) continue;
      run.seen(`chunks given up after ${generation.name}`);
      // No fault here lasts as long as three tries: more than 80 s.
      if (generation === triesThrice) {
        run.blame(`${request.dataId} ${request.index}`, `given up after ${sent.tries} tries: ${describe(sent)}`);
      }
      if (isNew) past.pop();
    }
  }

  function judge({ answer, outcome }: Sent, { dataId, index }: ChunkRequest): void {
    if (answer === undefined) return;
    if (outcome !== 'stored') {
      if (!mayAnswer.includes(answer.status)) {
        run.blame(`${dataId} ${index}`, `answered ${answer.status} ${answer.body}`);
      }
      return;
    }
    const startedAt = performance.now() - answer.ms;
    for (const one of waiting.splice(0)) {
      if (startedAt < one.from) waiting.push(one);
      else one.resolve(performance.now() - one.from);
    }
  }

  const writing = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  writing.catch(() => {});
  return {
    dataIds,
    async untilStored() {
      const answered = new Promise<number>((resolve) => waiting.push({ from: performance.now(), resolve }));
      const ms = await Promise.race([answered, sleep(60_000, undefined, { ref: false })]);
      if (ms === undefined) throw new Error('nothing was stored for 60 s');
      return ms;
    },
    async stop() {
      stopping = true;
      await writing;
    },
  };
}

const describe = ({ answer, failure }: Sent) => (answer ? `${answer.status} ${answer.body}` : failure?.message);
