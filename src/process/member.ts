/** One of the processes that serve, as the process that holds the sockets sees it. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type DatabaseAddresses, environmentOf, type FromServer, type Part, type ToServer } from './messages.ts';

export interface Member {
  child: ChildProcess;
  /** By `performance.now()`. */
  startedAt: number;
  /** Settles when it takes connections. Rejects, with its sentence if it had one, when it ends instead. */
  serving: Promise<void>;
  /** Settles when its database is fit to be used too. */
  ready: Promise<void>;
  /** Its whole generation has come up: when it ends by itself it is replaced. */
  isEstablished: boolean;
  /** It has been told to end. */
  isLeaving: boolean;
}

/** The standard streams, and the channel for messages. */
const descriptorsBefore = 4;

/**
 * Starts the program of this process anew, as it is installed by now: another build may stand there.
 * @param descriptors the sockets, as this process has them
 */
export function startMember(
  part: Omit<Part, 'descriptors'>,
  descriptors: number[],
  environment: Record<string, string | undefined>,
): Member {
  const { LISTEN_PID: _, LISTEN_FDS: __, LISTEN_FDNAMES: ___, ...inherited } = environment;
  const own = environmentOf({ ...part, descriptors: descriptors.map((_, i) => descriptorsBefore + i) });
  const child = fork(process.argv[1] as string, process.argv.slice(2), {
    env: { ...inherited, ...own },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...descriptors],
  });
  const when = (type: FromServer['type']) => settled(child, type);
  return {
    child,
    startedAt: performance.now(),
    serving: when('serving'),
    ready: when('ready'),
    isEstablished: false,
    isLeaving: false,
  };
}

function settled(child: ChildProcess, type: FromServer['type']): Promise<void> {
  const promise = new Promise<void>((resolve, reject) => {
    child.on('message', (message: FromServer) => {
      if (message.type === type) resolve();
      if (message.type === 'refused') reject(new Error(message.why));
    });
    child.once('error', reject);
    // What it has sent before its end may still be under way.
    child.once('close', (code, signal) =>
      reject(new Error(`A process that serves ended with ${signal ?? `code ${code}`} before it was ready.`)),
    );
  });
  // Whoever waits for it hears of it; nobody has to.
  promise.catch(() => {});
  return promise;
}

/** Sends it a message, unless it has gone. */
export function tell({ child }: Member, message: ToServer): void {
  if (child.connected) child.send(message, () => {});
}

export const tellDatabase = (member: Member, addresses: DatabaseAddresses) =>
  tell(member, { type: 'database', addresses });

/** Ends it in order, or by force after `msMax`. */
export async function end(member: Member, msMax: number): Promise<void> {
  const { child } = member;
  member.isLeaving = true;
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  const giveUp = setTimeout(() => child.kill('SIGKILL'), msMax);
  child.kill('SIGTERM');
  await ended;
  clearTimeout(giveUp);
}
