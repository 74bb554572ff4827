/**
 * The sockets that clients connect to. They are held by a process that does not serve: while those that serve are
 * replaced, connections wait in the kernel and are answered by the next one.
 */
import { lookup } from 'node:dns/promises';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';

export interface Sockets {
  /** File descriptors of this process, to be inherited by those that serve. */
  descriptors: number[];
  /** Another process holds them too, so that connections wait while this one is away. */
  areHeldElsewhere: boolean;
  /** Lets go of them. */
  close(): void;
}

type Environment = Record<string, string | undefined>;

/** Where the first descriptor stands that systemd hands over (sd_listen_fds(3)). */
const firstDescriptor = 3;

/**
 * Takes the sockets that systemd hands over, or makes one for HOST and PORT. Nobody listens on it yet.
 * @throws with a sentence when the port is in use for longer than `waitMsMax`, or HOST is no address of this machine
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
    // Of the addresses of a name the first decides; a machine without IPv6 has no other.
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

/** All addresses of `localhost`, which may be two; one of anything else. */
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
 * A socket that is bound and on which this process never accepts. Node has no public way to that: `listen` accepts too.
 * This is the function by which Node's own `cluster` makes the sockets that its workers share.
 * @returns the name of the error when it fails
 */
function bind(address: string, family: number, port: number): Handle | string {
  const { _createServerHandle } = net as unknown as {
    _createServerHandle(address: string, port: number, family: number, fd: number, flags: number): Handle | number;
  };
  const made = _createServerHandle(address, port, family, -1, 0);
  if (typeof made === 'number') return getSystemErrorName(made);
  if (portOf(made) !== 0) return made;
  // The system keeps this error back until somebody listens; until then the socket is bound to nothing.
  made.close();
  return 'EADDRINUSE';
}

function portOf(handle: Handle): number {
  const name: { port?: number } = {};
  handle.getsockname(name);
  return name.port ?? 0;
}
