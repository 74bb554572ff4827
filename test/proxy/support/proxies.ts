import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificates } from './certificates.ts';
import { programPath } from './packages.ts';

export type Engine = 'nginx' | 'haproxy';

interface Running {
  /** Folder for the files that it makes. */
  folder: string;
  /** Everything that it wrote to its standard output and error. */
  logged(): string;
  stop(): Promise<void>;
}

export interface RunningProxy extends Running {
  /** Ports on loopback. */
  http: number;
  https: number;
}

/** Starts nginx or HAProxy by the template in deploy/proxies, in front of a port of loopback. */
export async function startProxy(engine: Engine, upstream: number, certificates: Certificates): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), `metrology-${engine}-`));
  const [http, https] = [await freePort(), await freePort()];
  const running =
    engine === 'nginx'
      ? await startNginx(folder, { http, https, upstream, certificates })
      : await startHaproxy(folder, { http, https, upstream, certificates });
  return { ...running, http, https };
}

/** Starts stunnel by its template: plain HTTP on the port that it returns, TLS to the other, trusting `ca`. */
export async function startTunnel(https: number, ca: string): Promise<Running & { http: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-stunnel-'));
  const http = await freePort();
  const config = await fillTemplate('stunnel.conf', {
    'accept = 127.0.0.1:8001': `accept = 127.0.0.1:${http}`,
    'connect = metrology.lab.internal:443': `connect = 127.0.0.1:${https}`,
    'CAfile = lab-ca.pem': `CAfile = ${ca}`,
  });
  const file = join(folder, 'stunnel.conf');
  await writeFile(file, `foreground = yes\npid =\n${config}`);
  const running = await start(folder, http, programPath('stunnel'), [file]);
  return { ...running, http };
}

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

interface Addresses {
  http: number;
  https: number;
  upstream: number;
  certificates: Certificates;
}

async function startNginx(folder: string, { http, https, upstream, certificates }: Addresses): Promise<Running> {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((n) => `${n}_temp_path ${folder}/${n};`);
  const config = await fillTemplate('nginx.conf', {
    // Root may read the folder of this test; any other user cannot change its own, and needs not.
    'user www-data;': process.getuid?.() === 0 ? 'user root;' : '',
    'pid /run/nginx.pid;': `pid ${folder}/nginx.pid; error_log stderr info;`,
    'http {\n': `http {\n${temporary.join(' ')}\n`,
    'server 127.0.0.1:8000;': `server 127.0.0.1:${upstream};`,
    'listen 80 ': `listen 127.0.0.1:${http} `,
    'listen 443 ': `listen 127.0.0.1:${https} `,
    '/etc/ssl/metrology/server.pem': certificates.certificate,
    '/etc/ssl/metrology/server.key': certificates.key,
  });
  const file = join(folder, 'nginx.conf');
  await writeFile(file, config);
  return start(folder, http, programPath('nginx'), ['-e', 'stderr', '-p', folder, '-c', file, '-g', 'daemon off;']);
}

async function startHaproxy(folder: string, { http, https, upstream, certificates }: Addresses): Promise<Running> {
  const config = await fillTemplate('haproxy.cfg', {
    'bind :80': `bind 127.0.0.1:${http}`,
    'bind :443 ssl crt /etc/haproxy/metrology.pem': `bind 127.0.0.1:${https} ssl crt ${certificates.both}`,
    'server metrology 127.0.0.1:8000': `server metrology 127.0.0.1:${upstream}`,
  });
  const file = join(folder, 'haproxy.cfg');
  await writeFile(file, config);
  return start(folder, http, programPath('haproxy'), ['-db', '-f', file]);
}

/** The template with its addresses and paths exchanged. @throws when it does not hold one of them exactly once */
async function fillTemplate(name: string, exchanges: Record<string, string>): Promise<string> {
  let text = await readFile(new URL(`../../../deploy/proxies/${name}`, import.meta.url), 'utf8');
  for (const [from, to] of Object.entries(exchanges)) {
    const parts = text.split(from);
    if (parts.length !== 2) throw new Error(`${name} holds "${from}" ${parts.length - 1} times`);
    text = parts.join(to);
  }
  return text;
}

const startMsMax = 10_000;
const stopMsMax = 10_000;

async function start(folder: string, port: number, program: string, args: string[]): Promise<Running> {
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      text = (text + part).slice(-1_000_000);
    });
  }
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = () => end(child, ended).then(() => rm(folder, { recursive: true, force: true }));
  const giveUpAt = performance.now() + startMsMax;
  while (!(await listens(port))) {
    if (child.exitCode !== null || performance.now() > giveUpAt) {
      await stop();
      throw new Error(`${program} did not start:\n${text}`);
    }
    await sleep(20);
  }
  return { folder, logged: () => text, stop };
}

async function end(child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
  await ended;
  clearTimeout(timer);
}

function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).then((is) => {
    socket.destroy();
    return is as boolean;
  });
}
