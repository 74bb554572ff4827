import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runningEmbeddedPostgres } from '../../../src/database/embedded.ts';
import { holdSocket } from '../../process/support/held-socket.ts';
import { type Server, serve } from '../../support/built-server.ts';
import { type Client, type ClientOptions, createClient } from './client.ts';
import { freePort } from './processes.ts';

export const apiKey = 'the-key-of-the-fault-tests-0123456789';

/** A built server at an address that it keeps when it is started again. */
export interface Site {
  endpoint: string;
  /** The process that runs now, or ran last. */
  server(): Server;
  start(): Promise<Server>;
  /** SIGTERM, and the milliseconds until it had ended. @throws when it ends with an error or not within 30 s */
  stop(): Promise<number>;
  kill(): Promise<void>;
  client(options?: Partial<ClientOptions>): Client;
  /** Stops what still runs, and gives the socket back where one is held. */
  close(): Promise<void>;
}

export interface SiteOptions {
  /** The socket outlives the server, as with systemd's socket unit: who connects meanwhile waits in the kernel. Default false. */
  isHeld?: boolean;
}

export async function openSite(
  builtFolder: string,
  settings: Record<string, string>,
  { isHeld = false }: SiteOptions = {},
): Promise<Site> {
  const held = isHeld ? await holdSocket() : undefined;
  const port = held?.port ?? (await freePort());
  const endpoint = `http://127.0.0.1:${port}`;
  let server: Server | undefined;
  const current = () => {
    if (server === undefined) throw new Error('no server was started');
    return server;
  };
  const site: Site = {
    endpoint,
    server: current,
    async start() {
      const own = { BOOTSTRAP_API_KEY: apiKey, LOG_LEVEL: 'error', ...settings };
      server =
        held === undefined
          ? await serve(builtFolder, { PORT: String(port), ...own })
          : await serve(builtFolder, own, { socket: held.fd });
      return server;
    },
    async stop() {
      // So that the reason why it did not start is what is reported.
      if (server === undefined) return 0;
      const askedAt = performance.now();
      current().child.kill('SIGTERM');
      const { code, signal } = await current().exit();
      if (code !== 0) throw new Error(`the server ended with ${code ?? signal}:\n${current().stderr().slice(-2_000)}`);
      return performance.now() - askedAt;
    },
    async kill() {
      current().child.kill('SIGKILL');
      await current().exit();
    },
    client: (options = {}) => createClient({ endpoint: () => endpoint, key: apiKey, ...options }),
    async close() {
      if (server?.child.exitCode === null && server.child.signalCode === null) await site.stop();
      held?.close();
    },
  };
  return site;
}

/** A server with its own PostgreSQL, in an empty folder unless DATA_DIR says another one. */
export interface EmbeddedSite extends Site {
  dataDir: string;
  databaseUrl(): Promise<string>;
  /** Stops what still runs and removes the folder. */
  remove(): Promise<void>;
}

export async function openEmbeddedSite(
  builtFolder: string,
  settings: Record<string, string> = {},
  options: SiteOptions = {},
): Promise<EmbeddedSite> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-fault-'));
  const dataDir = settings.DATA_DIR ?? join(folder, 'data');
  const site = await openSite(builtFolder, { ...settings, DATA_DIR: dataDir }, options);
  return {
    ...site,
    dataDir,
    async databaseUrl() {
      const url = await runningEmbeddedPostgres(dataDir);
      if (url === undefined) throw new Error('the embedded PostgreSQL does not run');
      return url;
    },
    async remove() {
      await site.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
