import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { type Server, serve } from '../../support/built-server.ts';
import { type Engine, freePort, type RunningProxy, startProxy } from './proxies.ts';
import { type Answer, type Caller, caller } from './requests.ts';
import { type Stub, startStub } from './stub-upstream.ts';

/** The built server with its own PostgreSQL, and a proxy in front of it. */
export interface Bench {
  proxy: RunningProxy;
  key: string;
  port: number;
  /** Without the proxy. */
  direct: Caller;
  http: Caller;
  https: Caller;
  /** The process that serves now. */
  server(): Server;
  /** Ends the server by this signal and starts it again on the same port and data. */
  restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  stop(): Promise<void>;
}

export async function startBench(engine: Engine): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-behind-'));
  const port = await freePort();
  const key = `proxy-suite-${randomBytes(16).toString('hex')}`;
  const settings = { PORT: String(port), DATA_DIR: join(folder, 'data'), BOOTSTRAP_API_KEY: key, LOG_LEVEL: 'warn' };
  const start = () => serve(inject('builtFolder'), settings);
  let server = await start();
  const certificates = inject('certificates');
  const proxy = await startProxy(engine, port, certificates);
  const callers = [
    caller(port, { key }),
    caller(proxy.http, { key }),
    caller(proxy.https, { key, ca: certificates.ca }),
  ] as const;
  const [direct, http, https] = callers;
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    if (server.child.exitCode === null) server.child.kill(signal);
    await server.exit();
  };
  return {
    proxy,
    key,
    port,
    direct,
    http,
    https,
    server: () => server,
    async restart(signal) {
      await end(signal);
      server = await start();
    },
    async stop() {
      for (const one of callers) one.close();
      await proxy.stop();
      await end('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A server that misbehaves at will, and a proxy in front of it. */
export interface Stubbed {
  stub: Stub;
  proxy: RunningProxy;
  client: Caller;
  /** An answer that takes nearly 30 s; it was asked for at the start, so that other tests run meanwhile. */
  late: Promise<Answer>;
  stop(): Promise<void>;
}

export async function startStubbed(engine: Engine): Promise<Stubbed> {
  const stub = await startStub();
  const proxy = await startProxy(engine, stub.port, inject('certificates'));
  const client = caller(proxy.http);
  const late = client.send({ path: '/late' });
  late.catch(() => undefined);
  return {
    stub,
    proxy,
    client,
    late,
    async stop() {
      client.close();
      await proxy.stop();
      await stub.close();
    },
  };
}

export async function openStream(from: Caller, pointsPerChunk = 1): Promise<string> {
  const { status, text } = await from.send({
    path: '/tool-state/stream/initialize',
    body: { points_per_chunk: pointsPerChunk },
  });
  if (status !== 200) throw new Error(`initialize: ${status} ${text}`);
  return (JSON.parse(text) as { data_id: string }).data_id;
}

/** A chunk of one point, by whose value its index can be told. */
export const chunkOf = (dataId: string, index: number) => ({
  data_id: dataId,
  chunk_index: index,
  channel_name: 'p',
  timestamps: [1_700_000_000 + index],
  values: [index + 0.5],
});

/** What is stored of channel p: index and value of each chunk, read past the proxy. */
export async function storedChunks(bench: Bench, dataId: string): Promise<[number, number[]][]> {
  const { status, text } = await bench.direct.send({ path: `/tool-state/${dataId}/points/?channel=p` });
  if (status !== 200) throw new Error(`points: ${status} ${text}`);
  const { chunks } = JSON.parse(text) as { chunks: { chunk_index: number; values: number[] }[] };
  return chunks.map(({ chunk_index, values }) => [chunk_index, values]);
}
