/** One of the processes that serve, from the view of the process that holds the sockets. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type DatabaseAddresses, environmentOf, type FromServer, type Part, type ToServer } from './messages.ts';

export interface Member {
  child: ChildProcess;
  /** In milliseconds of `performance.now()`. */
  startedAt: number;
  /** Resolves when it accepts connections. Rejects when it ends instead, with its reason if it has sent one. */
  serving: Promise<void>;
  /** Resolves when the database is ready to be used too. */
  ready: Promise<void>;
  /** Its whole generation has started, so it is replaced when it ends by itself. */
  isEstablished: boolean;
  /** It was asked to end. */
  isLeaving: boolean;
}

/** A child's first descriptors: three standard streams and the channel for messages. */
const descriptorsBefore = 4;

/**
 * Starts another process of this program, as it is installed now; that may be a newer build.
 * @param descriptors this process's descriptors of the sockets
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
    // `close` and not `exit`, because a message that it sent before its end may still be on the way.
    child.once('close', (code, signal) =>
      reject(new Error(`A process that serves ended with ${signal ?? `code ${code}`} before it was ready.`)),
    );
  });
  // A rejection that nobody waits for must not end this process.
  promise.catch(() => {});
  return promise;
}

/** Sends a message to a member, unless it has gone. */
export function tell({ child }: Member, message: ToServer): void {
  if (child.connected) child.send(message, () => {});
}

export const tellDatabase = (member: Member, addresses: DatabaseAddresses) =>
  tell(member, { type: 'database', addresses });

/** Ends a member in order, or by force after `msMax`. */
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
