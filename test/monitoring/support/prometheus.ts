import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const prometheusIsInstalled = spawnSync('prometheus', ['--version']).error === undefined;

export interface Prometheus {
  /** How many series an expression has now. @throws with what Prometheus says of one that it cannot read */
  countOf(expression: string): Promise<number>;
  close(): Promise<void>;
}

/** The program itself on loopback, which asks a port for `/metrics` every second, with a temporary folder of its own. */
export async function startPrometheus(port: number): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-prometheus-'));
  const config = join(folder, 'prometheus.yml');
  await writeFile(
    config,
    `scrape_configs: [{ job_name: metrology, scrape_interval: 1s, scrape_timeout: 1s,
       static_configs: [{ targets: ['127.0.0.1:${port}'] }] }]\n`,
  );
  const program = spawn(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      '--web.listen-address=127.0.0.1:0',
      '--log.format=json',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const close = async () => {
    if (program.exitCode === null && program.signalCode === null) {
      const ended = once(program, 'exit');
      program.kill('SIGKILL');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const url = `http://${await listensOn(program)}`;
    return { countOf: (expression) => countOf(url, expression), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Takes whatever port is free; its log says which. */
function listensOn(program: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    program.stderr?.on('data', (data) => {
      said += data;
      const address = /"address":"(127\.0\.0\.1:[1-9]\d*)"/.exec(said)?.[1];
      if (address !== undefined) resolve(address);
    });
    program.once('error', reject);
    program.once('exit', () => reject(new Error(`Prometheus has ended: ${said}`)));
  });
}

async function countOf(url: string, expression: string): Promise<number> {
  // Not yet ready, it answers 503.
  for (;;) {
    const response = await fetch(`${url}/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query: expression }),
    });
    if (response.status === 503) {
      await response.text();
      await sleep(100);
      continue;
    }
    const answer = (await response.json()) as { error?: string; data?: { result: unknown[] } };
    if (answer.data === undefined) throw new Error(`${expression}: ${answer.error}`);
    return answer.data.result.length;
  }
}
