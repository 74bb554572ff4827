import { setTimeout as sleep } from 'node:timers/promises';
import { killNow } from '../faults/support/processes.ts';
import { servingPids } from '../support/built-server.ts';
import type { Bench } from './support/bench.ts';
import { leadEtcd } from './support/etcd.ts';
import type { Machine } from './support/machine.ts';

/** Something that happens to the cluster or the server while everybody writes. */
export interface Fault {
  name: string;
  /** Longest time without an acknowledged chunk, on a machine that does other work too. */
  awayMsMax: number;
  /** What a client that tries once may lose: where the process that held its request dies, nobody can answer it. */
  mayCutRequests?: boolean;
  inject(bench: Bench): Promise<void>;
  /** Makes the cluster whole again. */
  mend?(bench: Bench): Promise<void>;
  /** No primary takes writes for long enough that the server has to say so. */
  isAbsence?: boolean;
  /** Too long for CI: only in the full form, or when it is named. */
  isOfFullForm?: boolean;
}

/** Patroni's ttl, an election in etcd and one of Patroni: 20 to 24 s on a quiet machine. Three tries of the SDK take more than 80 s. */
const failoverMsMax = 45_000;
const restartMsMax = 45_000;

/** In the order in which they are injected; each leaves the cluster whole. */
export const faults = (): readonly Fault[] => [
  ...ofTheServer,
  ...ofStandbysAndEtcd,
  ...['frozen', 'killed'].map((how) => ofThePrimary(how as 'frozen' | 'killed')),
  ofTwoMachines(),
];

const ofTheServer: readonly Fault[] = [
  {
    name: 'server: SIGTERM, then started anew on the held socket',
    awayMsMax: restartMsMax,
    async inject({ server }) {
      await server.stop();
      await server.start();
    },
  },
  {
    name: 'server: SIGUSR2',
    awayMsMax: restartMsMax,
    async inject({ server }) {
      const before = servingPids(server.server());
      server.server().child.kill('SIGUSR2');
      // The old one stays for the connections that it has; new ones come to the new one.
      await until(() => servingPids(server.server()).some((pid) => !before.includes(pid)));
      await sleep(5_000);
    },
  },
  {
    name: 'server: kill -9, then started anew on the held socket',
    awayMsMax: restartMsMax,
    mayCutRequests: true,
    async inject({ server }) {
      // All at once: the process that serves, and the one that holds its sockets.
      for (const pid of servingPids(server.server())) killNow(pid);
      await server.kill();
      await server.start();
    },
  },
];

const ofStandbysAndEtcd: readonly Fault[] = [
  {
    name: 'planned switch-over',
    awayMsMax: failoverMsMax,
    async inject({ cluster }) {
      await cluster.switchOver();
    },
  },
  {
    name: 'both standbys frozen for 8 s',
    awayMsMax: failoverMsMax,
    async inject(bench) {
      const machines = await standbys(bench);
      // PostgreSQL alone: with two members of etcd the primary would have to step down too.
      for (const machine of machines) machine.signal('postgres', 'SIGSTOP');
      await sleep(8_000);
      for (const machine of machines) machine.signal('postgres', 'SIGCONT');
    },
  },
  {
    name: 'etcd frozen on all machines for 40 s',
    // The primary reaches the other Patronis, so it stays.
    awayMsMax: 10_000,
    isOfFullForm: true,
    async inject({ cluster }) {
      for (const machine of cluster.machines) machine.signal('etcd', 'SIGSTOP');
      await sleep(40_000);
      for (const machine of cluster.machines) machine.signal('etcd', 'SIGCONT');
    },
  },
];

/** The whole machine. */
function ofThePrimary(how: 'frozen' | 'killed'): Fault {
  let struck: Machine | undefined;
  return {
    name: `primary ${how}`,
    awayMsMax: failoverMsMax,
    isAbsence: true,
    async inject({ cluster }) {
      struck = await cluster.primary();
      // The worst that an election can do: the machine leads etcd too, and takes that leadership along.
      await leadEtcd(cluster.machines, struck);
      await (how === 'frozen' ? struck.freeze() : struck.kill());
    },
    async mend() {
      if (how === 'frozen') struck?.thaw();
      else struck?.start();
    },
  };
}

function ofTwoMachines(): Fault {
  let struck: Machine | undefined;
  return {
    name: 'primary and another machine killed, one of them back after 10 s',
    // Nobody is primary without a majority, and no write succeeds without a standby.
    awayMsMax: 80_000,
    isOfFullForm: true,
    async inject(bench) {
      struck = await bench.cluster.primary();
      const [second] = await standbys(bench);
      await Promise.all([struck.kill(), second?.kill()]);
      await sleep(10_000);
      second?.start();
    },
    async mend() {
      struck?.start();
    },
  };
}

async function standbys({ cluster }: Bench): Promise<Machine[]> {
  const { name } = await cluster.primary();
  return cluster.machines.filter((machine) => machine.name !== name);
}

async function until(condition: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > giveUpAt) throw new Error('the reload has not started anybody');
    await sleep(50);
  }
}
