import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, isInstalled, startProcess, untilReady } from './processes.ts';
import { NotInstalled, type Target } from './target.ts';

const randomStreams = async (count: number) => Array.from({ length: count }, () => randomUUID());

/** VictoriaMetrics, a single node with its defaults, except that it also keeps data older than a month. */
export async function startVictoriaMetrics(folder: string): Promise<Target> {
  const program = 'victoria-metrics';
  if (!isInstalled(program)) throw new NotInstalled(`${program} is not installed (apt-get install victoria-metrics)`);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const running = startProcess(
    program,
    [`-storageDataPath=${join(folder, 'data')}`, `-httpListenAddr=127.0.0.1:${port}`, '-retentionPeriod=100y'],
    {},
  );
  await untilReady(running, `${url}/health`);
  return {
    kind: 'victoria',
    name: 'VictoriaMetrics',
    durability: 'acknowledges before it is durable',
    ...{ url, pid: running.pid, key: '', openStreams: randomStreams },
    routes: { victoria: { path: '/api/v1/import', headers: {}, expectedStatus: 204 } },
    async storedPoints() {
      await (await fetch(`${url}/internal/force_flush`)).arrayBuffer();
      // VictoriaMetrics caches for a while which series a filter matches, so every count uses another filter.
      const filter = `{__name__="thickness",data_id!="${randomUUID()}"}`;
      const query = encodeURIComponent(`sum(count_over_time(${filter}[10y]))`);
      const answer = await fetch(`${url}/api/v1/query?nocache=1&query=${query}`);
      if (!answer.ok) throw new Error(`VictoriaMetrics does not count: ${await answer.text()}`);
      const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
      return Number(data.result[0]?.value[1] ?? 0);
    },
    stop: async () => void (await running.stop()),
  };
}

/** InfluxDB 1.x with its defaults: it syncs its write-ahead log before it answers. */
export async function startInfluxdb(folder: string): Promise<Target> {
  if (!isInstalled('influxd')) throw new NotInstalled('influxd is not installed (apt-get install influxdb)');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const settings = join(folder, 'influxdb.conf');
  const place = (name: string) => JSON.stringify(join(folder, name));
  writeFileSync(
    settings,
    `reporting-disabled = true
bind-address = "127.0.0.1:${await freePort()}"
[meta]
dir = ${place('meta')}
[data]
dir = ${place('data')}
wal-dir = ${place('wal')}
[http]
bind-address = "127.0.0.1:${port}"
log-enabled = false
[monitor]
store-enabled = false
`,
  );
  const running = startProcess('influxd', ['-config', settings], {});
  await untilReady(running, `${url}/ping`);
  const ask = async (method: string, statement: string) => {
    const answer = await fetch(`${url}/query?db=bench&q=${encodeURIComponent(statement)}`, { method });
    const text = await answer.text();
    if (!answer.ok || text.includes('"error"')) throw new Error(`InfluxDB says: ${text}`);
    return JSON.parse(text) as { results: { series?: { values: [string, number][] }[] }[] };
  };
  await ask('POST', 'create database bench');
  return {
    kind: 'influx',
    name: 'InfluxDB 1.6',
    durability: 'fsync of its WAL before the answer',
    ...{ url, pid: running.pid, key: '', openStreams: randomStreams },
    routes: { influx: { path: '/write?db=bench&precision=u', headers: {}, expectedStatus: 204 } },
    async storedPoints() {
      const { results } = await ask('GET', 'select count(value) from thickness');
      return results[0]?.series?.[0]?.values[0]?.[1] ?? 0;
    },
    stop: async () => void (await running.stop()),
  };
}

/** A server that discards requests. It shows how fast the load generator can be. */
export async function startDiscard(): Promise<Target> {
  const port = await freePort();
  const script = fileURLToPath(new URL('../targets/discard.js', import.meta.url));
  const running = startProcess(process.execPath, [script], { PORT: String(port) });
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; attempt < 250; attempt++) {
    if (await fetch(url, { method: 'POST' }).catch(() => undefined)) break;
    await sleep(20);
  }
  return {
    kind: 'discard',
    name: 'a server that reads and forgets',
    durability: 'stores nothing',
    ...{ url, pid: running.pid, key: '', openStreams: randomStreams },
    routes: { chunk: { path: '/', headers: {}, expectedStatus: 201 } },
    storedPoints: async () => Number.NaN,
    stop: async () => void (await running.stop()),
  };
}
