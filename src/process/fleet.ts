/**
 * The processes that serve: it starts them, replaces one that ends, exchanges all for a new build, and ends them in
 * order.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { answerMetrics } from '../http/cluster-metrics.ts';
import type { ProcessLimits } from './limits.ts';
import { end, type Member, startMember, tell, tellDatabase } from './member.ts';
import type { DatabaseAddresses, Part } from './messages.ts';
import type { Sockets } from './sockets.ts';

export interface Fleet {
  /** Resolves when all processes serve and the database is ready to be used. Rejects with a sentence when that fails. */
  ready: Promise<void>;
  /** Sends the address of the database to every process, present and future. */
  useDatabase(addresses: DatabaseAddresses): void;
  /**
   * Starts new processes of the program as it is installed now. When they serve, the old processes hand over and end.
   * When they do not start, the old ones stay. A call during a reload makes one more reload after it.
   */
  reload(): void;
  /** Ends all processes in order. */
  close(): Promise<void>;
}

export interface FleetOptions {
  config: Pick<Config, 'WORKERS'>;
  environment: Record<string, string | undefined>;
  sockets: Sockets;
  log: Logger;
  limits: ProcessLimits;
}

export function startFleet({ config, environment, sockets, log, limits }: FleetOptions): Fleet {
  const members = new Set<Member>();
  const endMsMax = limits.drainMs + limits.shutdownMsMax + limits.restartPauseMs;
  let addresses: DatabaseAddresses | undefined;
  let isStopping = false;

  function start(part: Pick<Part, 'isFirst' | 'preparesFirst'>): Member {
    const { areHeldElsewhere } = sockets;
    // A listening handle accepts one connection in a turn of the event loop, so each descriptor has several.
    const descriptors = sockets.descriptors.flatMap((one) => Array<number>(limits.connectionsPerTurn).fill(one));
    const member = startMember({ ...part, areHeldElsewhere }, descriptors, environment);
    members.add(member);
    answerMetrics(member.child, () => [...members].filter(({ isLeaving }) => !isLeaving).map(({ child }) => child));
    if (addresses !== undefined) tellDatabase(member, addresses);
    member.child.once('exit', (code, signal) => {
      members.delete(member);
      if (member.isEstablished && !member.isLeaving) void replace(member, { code, signal });
    });
    return member;
  }

  async function replace({ child, startedAt }: Member, how: object): Promise<void> {
    if (isStopping) return;
    log.error({ process: child.pid, ...how }, 'a process that serves has ended; starting another one');
    // With no other process that serves, only this timer keeps the process alive that holds the sockets.
    if (performance.now() - startedAt < limits.steadyMs) await sleep(limits.restartPauseMs);
    if (!isStopping) start({ isFirst: false, preparesFirst: false }).isEstablished = true;
  }

  /**
   * Starts a process for each of WORKERS. The others start when the first is ready; if it fails, the generation fails.
   */
  async function startGeneration(isFirst: boolean): Promise<Member[]> {
    const first = start({ isFirst, preparesFirst: !isFirst });
    await first.ready;
    const others = Array.from({ length: config.WORKERS - 1 }, () => start({ isFirst: false, preparesFirst: true }));
    await Promise.all(others.map((member) => member.ready));
    const made = [first, ...others];
    for (const member of made) member.isEstablished = true;
    return made;
  }

  async function exchange(): Promise<void> {
    const late = sleep(limits.reloadMsMax, undefined, { ref: false }).then((): never => {
      throw new Error(`The new processes did not serve within ${limits.reloadMsMax} ms.`);
    });
    try {
      const made = await Promise.race([startGeneration(false), late]);
      for (const member of members) {
        if (made.includes(member) || member.isLeaving) continue;
        member.isLeaving = true;
        tell(member, { type: 'hand over' });
      }
      log.info('reloaded');
    } catch (error) {
      if (isStopping) return;
      log.error(
        { reason: (error as Error).message },
        'not reloaded: what is installed does not start; the old goes on',
      );
      for (const member of members) if (!member.isEstablished) void end(member, endMsMax);
    }
  }

  const ready = startGeneration(true).then(() => {});
  let turn: Promise<void> = ready.catch(() => {});
  let isReloadDue = false;
  return {
    ready,
    useDatabase(found) {
      addresses = found;
      for (const member of members) tellDatabase(member, found);
    },
    reload() {
      // A reload that is already due begins after this call, so it uses what is installed now.
      if (isReloadDue || isStopping) return;
      isReloadDue = true;
      log.info('reloading');
      turn = turn.then(() => {
        isReloadDue = false;
        return isStopping ? undefined : exchange();
      });
    },
    async close() {
      isStopping = true;
      await Promise.all([...members].map((member) => end(member, endMsMax)));
    },
  };
}
