import { triesOnce, triesThrice } from '../../faults/support/as-sdk.ts';
import type { Client } from '../../faults/support/client.ts';
import type { Run } from '../../faults/support/run.ts';
import { apiKey, openSite, type Site } from '../../faults/support/servers.ts';
import { type Cluster, openCluster } from './cluster.ts';
import { type Probe, startProbe } from './probe.ts';
import { installBoth, type SdkProcess, startSdk } from './sdk.ts';
import { startWriters, type Writers } from './writers.ts';

/** All that runs while faults are injected. */
export interface Bench {
  cluster: Cluster;
  server: Site;
  client: Client;
  thrice: Writers;
  once: Writers;
  /** The SDK itself: a long stream and short ones, of the newest release and of the last that tries once. */
  streams: { newest: SdkProcess; old: SdkProcess };
  lives: { newest: SdkProcess; old: SdkProcess };
  probe: Probe;
  /** When nobody could have answered a call that is sent once: from and to, in ms since 1970. */
  excused: (readonly [from: number, to: number])[];
  close(): Promise<void>;
}

export async function openBench(run: Run, builtFolder: string): Promise<Bench> {
  const opened: (() => unknown)[] = [];
  const close = async () => {
    for (const end of opened.splice(0).reverse()) await end();
  };
  try {
    const [cluster, releases] = await Promise.all([openCluster(), installBoth()]);
    opened.push(() => cluster.remove());
    const server = await openSite(
      builtFolder,
      { DATABASE_URL: cluster.url('app'), MIGRATION_DATABASE_URL: cluster.url('owner'), LOG_LEVEL: 'fatal' },
      { isHeld: true },
    );
    opened.push(() => server.close());
    await server.start();
    const client = server.client();
    opened.push(() => client.close());
    const probe = await startProbe(cluster.url('superuser'));
    opened.push(() => probe.stop());
    const start = (release: 'newest' | 'old', mode: 'stream' | 'lives') => {
      const sdk = startSdk(releases[release], mode, `${mode} ${release}`, server.endpoint, apiKey);
      opened.push(() => sdk.kill());
      return sdk;
    };
    const streams = { newest: start('newest', 'stream'), old: start('old', 'stream') };
    const lives = { newest: start('newest', 'lives'), old: start('old', 'lives') };
    const [thrice, once] = await Promise.all([
      startWriters(run, { client, generation: triesThrice, writers: 12, chunksPerSecond: 3 }),
      startWriters(run, { client, generation: triesOnce, writers: 3, chunksPerSecond: 3 }),
    ]);
    await Promise.all(
      [...Object.values(streams), ...Object.values(lives)].map(async (sdk) => {
        await (sdk.name.startsWith('stream') ? sdk.told('opened') : sdk.told('call'));
      }),
    );
    return { cluster, server, client, thrice, once, streams, lives, probe, excused: [], close };
  } catch (error) {
    await close();
    throw error;
  }
}
