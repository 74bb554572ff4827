/**
 * The sockets that clients connect to. A process that does not serve holds them. So while the processes that serve are
 * replaced, new connections wait in the kernel, and the next process answers them.
 */
import { lookup } from 'node:dns/promises';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';

export interface Sockets {
  /** File descriptors of this process, which the processes that serve inherit. */
  descriptors: number[];
  /** systemd holds them too, so that connections wait in the kernel while this server is away. */
  areHeldElsewhere: boolean;
  /** Closes them in this process. */
  close(): void;
}

type Environment = Record<string, string | undefined>;

/** The first descriptor that systemd hands over (sd_listen_fds(3)). */
const firstDescriptor = 3;

/**
 * Takes the sockets that systemd hands over, or binds one for HOST and PORT, on which nobody listens yet.
 * @throws Error with a sentence when the port is in use for longer than `waitMsMax`, or HOST is not an address of this
 * machine
 */
export async function openSockets(
  { HOST, PORT }: Pick<Config, 'HOST' | 'PORT'>,
  environment: Environment,
  log: Logger,
  waitMsMax: number,
): Promise<Sockets> {
  const descriptors = handedOver(environment, log);
  if (descriptors.length > 0) return { descriptors, areHeldElsewhere: true, close() {} };
  const handles: Handle[] = [];
  for (const { address, family } of await addressesOf(HOST)) {
    const port = handles.length === 0 ? PORT : portOf(handles[0] as Handle);
    // Only the first address must be bound. The second one of localhost may fail, as on a machine without IPv6.
    if (handles.length === 0) handles.push(await bindInTime(address, family, port, { HOST, waitMsMax }));
    else handles.push(...[bind(address, family, port)].filter((handle) => typeof handle !== 'string'));
  }
  return {
    descriptors: handles.map((handle) => handle.fd),
    areHeldElsewhere: false,
    close() {
      for (const handle of handles) handle.close();
    },
  };
}

function handedOver({ LISTEN_PID, LISTEN_FDS }: Environment, log: Logger): number[] {
  const count = Number(LISTEN_FDS ?? 0);
  if (!Number.isInteger(count) || count < 1) return [];
  if (LISTEN_PID !== String(process.pid)) {
    log.warn({ LISTEN_PID }, 'LISTEN_FDS is meant for another process: start the server without npm or a shell');
    return [];
  }
  return Array.from({ length: count }, (_, i) => firstDescriptor + i);
}

/** All addresses of `localhost`, which are two on most machines; a single one for any other name. */
async function addressesOf(host: string): Promise<{ address: string; family: number }[]> {
  try {
    return host === 'localhost' ? await lookup(host, { all: true }) : [await lookup(host)];
  } catch (error) {
    throw new Error(`HOST is ${host}, which is no address of this machine (${(error as Error).message}).`);
  }
}

interface Handle {
  fd: number;
  getsockname(into: { port?: number }): number;
  close(): void;
}

async function bindInTime(
  address: string,
  family: number,
  port: number,
  { HOST, waitMsMax }: { HOST: string; waitMsMax: number },
): Promise<Handle> {
  const deadline = performance.now() + waitMsMax;
  for (;;) {
    const handle = bind(address, family, port);
    if (typeof handle !== 'string') return handle;
    if (handle !== 'EADDRINUSE') throw new Error(`The server cannot listen on port ${port} of ${HOST}: ${handle}.`);
    if (performance.now() >= deadline) throw portInUse(HOST, port);
    await sleep(50);
  }
}

export function portInUse(host: string, port: number): Error {
  return new Error(`Port ${port} of ${host} is in use. Stop the program that uses it, or set PORT to another one.`);
}

/**
 * Binds a socket without accepting on it. Node has no public function for that, since `listen` accepts too. This is the
 * function with which Node's own `cluster` makes the sockets that its workers share.
 * @returns the bound socket, or the name of the error
 */
function bind(address: string, family: number, port: number): Handle | string {
  const { _createServerHandle } = net as unknown as {
    _createServerHandle(address: string, port: number, family: number, fd: number, flags: number): Handle | number;
  };
  const made = _createServerHandle(address, port, family, -1, 0);
  if (typeof made === 'number') return getSystemErrorName(made);
  if (portOf(made) !== 0) return made;
  // libuv reports this error only at `listen`. Until then such a socket looks bound, but to port 0.
  made.close();
  return 'EADDRINUSE';
}

function portOf(handle: Handle): number {
  const name: { port?: number } = {};
  handle.getsockname(name);
  return name.port ?? 0;
}
