import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { nodeFlags } from '../../bench/support/processes.ts';

/** Without Docker: what can be read off the files. `test/deploy/check` asks the programs that they are for. */
const project = fileURLToPath(new URL('../..', import.meta.url));
const read = (name: string) => readFileSync(join(project, name), 'utf8');

describe('Dockerfile', () => {
  const lines = read('Dockerfile').replaceAll('\\\n', ' ').split('\n');
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM')));
  const only = (word: string) => {
    const found = last.filter((line) => line.startsWith(`${word} `));
    expect([word, found.length]).toEqual([word, 1]);
    return (found[0] as string).slice(word.length + 1).trim();
  };

  test('copies what is there and what .dockerignore lets through, and needs nothing else of the checkout', () => {
    const letThrough =
      read('.dockerignore')
        .match(/^!.+$/gm)
        ?.map((line) => line.slice(1)) ?? [];
    const copied = lines
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from'))
      .flatMap((line) => line.split(/\s+/).slice(1, -1));
    for (const name of copied) expect([name, existsSync(join(project, name))]).toEqual([name, true]);
    expect([...new Set(copied)].sort()).toEqual([...letThrough].sort());
    const packed = ['dist', 'migrations', 'openapi.yaml', 'package.json', 'LICENSE'];
    for (const name of packed) expect(last.join('\n')).toMatch(new RegExp(`^COPY .*\\b${name}\\b`, 'm'));
  });

  test('runs as nobody special, gets its signals itself, and is asked for its health without curl', () => {
    expect(only('USER')).toBe('node');
    expect(JSON.parse(only('ENTRYPOINT'))).toEqual(['node', ...nodeFlags, 'dist/commands/cli.js']);
    expect(JSON.parse(only('CMD'))).toEqual(['serve']);
    expect(only('STOPSIGNAL')).toBe('SIGTERM');
    expect(only('HEALTHCHECK')).toMatch(/CMD \["node", "-e", ".*\/healthz/);
  });
});

test('the command has the flags of npm start', () => {
  expect(nodeFlags.length).toBeGreaterThan(0);
  expect(read('src/commands/metrology-server.ts').split('\n', 1)).toEqual([
    `#!/usr/bin/env -S node ${nodeFlags.join(' ')}`,
  ]);
});

describe('Compose', () => {
  const merged = {
    ...parse(read('docker-compose.yml'), { merge: true }).services,
    ...parse(read('docker-compose.tls.yml')).services,
  };

  test.each(['migrate', 'server', 'postgres', 'tls'])(
    '%s: read-only, no capability that it does not need, limits, restarts',
    (name) => {
      const service = merged[name];
      expect(service).toMatchObject({
        read_only: true,
        cap_drop: ['ALL'],
        restart: name === 'migrate' ? 'on-failure' : 'unless-stopped',
      });
      expect(service.security_opt).toContain('no-new-privileges:true');
      for (const limit of ['mem_limit', 'cpus', 'pids_limit']) expect([limit, service[limit]]).not.toContain(undefined);
      expect(service.privileged).toBeUndefined();
    },
  );

  test('waits for health, keeps the data where PostgreSQL 18 puts it, and opens plain HTTP to this machine alone', () => {
    const healthy = { condition: 'service_healthy' };
    expect(merged.migrate.depends_on).toEqual({ postgres: healthy });
    const migrated = { condition: 'service_completed_successfully' };
    expect(merged.server.depends_on).toEqual({ postgres: healthy, migrate: migrated });
    expect(merged.tls.depends_on).toEqual({ server: { condition: 'service_healthy' } });
    expect(merged.postgres).toMatchObject({ image: 'postgres:18', volumes: ['postgres:/var/lib/postgresql'] });
    for (const port of merged.server.ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    expect(merged.postgres.ports).toBeUndefined();
  });

  test('the server never has the password of the role that owns the tables', () => {
    expect(JSON.stringify(merged.server)).not.toContain('POSTGRES_PASSWORD');
    expect(merged.server.environment.DATABASE_URL).toBe(merged.migrate.environment.DATABASE_URL);
    expect(merged.server.environment.DATABASE_URL).toMatch(/^postgresql:\/\/metrology_app:\$\{SERVER_PASSWORD:\?/);
  });

  test('its files are there', () => {
    expect(existsSync(join(project, 'deploy/citus/join-nodes.sh'))).toBe(true);
    for (const volume of merged.tls.volumes.filter((one: string) => one.startsWith('./'))) {
      expect(existsSync(join(project, volume.split(':')[0])), volume).toBe(true);
    }
    expect(readdirSync(join(project, 'deploy/systemd'))).toEqual([
      'metrology-server.service',
      'metrology-server.socket',
    ]);
  });
});

describe('Compose of a cluster', () => {
  const { services } = parse(read('docker-compose.citus.yml'), { merge: true });
  const nodes = ['coordinator', 'worker-1', 'worker-2'];

  test.each(Object.keys(services))('%s: read-only, no capability that it does not need, limits, restarts', (name) => {
    const service = services[name];
    const isLasting = [...nodes, 'server'].includes(name);
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      restart: isLasting ? 'unless-stopped' : 'on-failure',
    });
    expect(service.security_opt).toContain('no-new-privileges:true');
    for (const limit of ['mem_limit', 'cpus', 'pids_limit']) expect([limit, service[limit]]).not.toContain(undefined);
  });

  test('nodes are healthy, then joined, then migrated, then distributed, then served from', () => {
    const done = { condition: 'service_completed_successfully' };
    const healthy = { condition: 'service_healthy' };
    expect(services['join-nodes'].depends_on).toEqual(Object.fromEntries(nodes.map((name) => [name, healthy])));
    expect(services['join-nodes'].environment.NODES).toBe(nodes.join(' '));
    expect(services.migrate.depends_on).toEqual({ 'join-nodes': done });
    expect(services.distribute.depends_on).toEqual({ migrate: done });
    expect(services.server.depends_on).toEqual({ distribute: done });
  });

  test('only plain HTTP for this machine is opened, and the server has no password of the owner or of the nodes', () => {
    for (const port of services.server.ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    expect(Object.keys(services).filter((name) => services[name].ports)).toEqual(['server']);
    expect(JSON.stringify(services.server)).not.toMatch(/POSTGRES_PASSWORD|NODES_PASSWORD/);
    expect(services.server.environment.DATABASE_URL).toBe(services.distribute.environment.DATABASE_URL);
  });

  test('transactions of several nodes can be prepared on each, and streams can move while chunks come', () => {
    const wanted = [
      'max_connections=200',
      'max_prepared_transactions=400',
      'wal_level=logical',
      'max_worker_processes=32',
    ];
    for (const name of nodes)
      expect(services[name].command).toEqual(['postgres', ...wanted.flatMap((setting) => ['-c', setting])]);
  });
});
