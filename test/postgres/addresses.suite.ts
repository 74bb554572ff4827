import { execFile } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, copyFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createSqlReader } from '../../src/auth/sql-readers.ts';
import { openAsOwner } from '../../src/database/database.ts';
import { accountOf } from '../failover/support/account.ts';
import { type Cluster, openCluster } from '../faults/support/postgres-15.ts';
import { type Certificates, makeCertificates } from '../proxy/support/certificates.ts';
import { open, serveOn } from './support/store.ts';

/* DATABASE_URL as psql and pg take it, and what sql-readers create prints as psql takes it. */

let folder: string;
let cluster: Cluster;
let port: number;
let certificates: Certificates;
const login = 'postgres_lab';
const password = 'p%zz 50%off/@?#:ä';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metrology-addresses-'));
  chmodSync(folder, 0o755);
  certificates = await makeCertificates(folder);
  await makeClientCertificate();
  cluster = await openCluster({ settings: { unix_socket_directories: folder, password_encryption: 'scram-sha-256' } });
  const account = accountOf();
  for (const [from, to] of [
    [certificates.certificate, 'server.crt'],
    [certificates.key, 'server.key'],
    [certificates.ca, 'root.crt'],
  ] as const) {
    copyFileSync(from, join(cluster.dataDir, to));
    chmodSync(join(cluster.dataDir, to), 0o600);
    if (account !== undefined) chownSync(join(cluster.dataDir, to), account.uid, account.gid);
  }
  if (account !== undefined) chownSync(folder, account.uid, account.gid);
  const conf = `ssl = on\nssl_ca_file = 'root.crt'\n`;
  appendFileSync(join(cluster.dataDir, 'postgresql.conf'), conf);
  await cluster.start();
  await cluster.query(`create role ${login} superuser login password '${password}'`);
  await cluster.query('create database lab');
  port = Number(new URL(cluster.url()).port);
  await rules(
    'local all metrology trust',
    'host all metrology all trust',
    'local all all scram-sha-256',
    'host all all all scram-sha-256',
  );
}, 60_000);
afterAll(async () => {
  await cluster?.remove();
  if (folder) await rm(folder, { recursive: true, force: true });
});

async function makeClientCertificate(): Promise<void> {
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: folder });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'client.key'];
  await openssl('req', ...key, '-out', 'client.csr', '-subj', `/CN=${login}`);
  const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
  await openssl('x509', '-req', '-in', 'client.csr', '-out', 'client.pem', ...signer);
}

/** Who is let in, and how: the lines of pg_hba.conf. */
async function rules(...lines: string[]): Promise<void> {
  writeFileSync(join(cluster.dataDir, 'pg_hba.conf'), `${lines.join('\n')}\n`);
  await cluster.query('select pg_reload_conf()');
}

const encoded = encodeURIComponent(password);
/** Whether the connection is encrypted, and how it comes. */
const facts = async (url: string) => {
  await open({ DATABASE_URL: url });
  // As the one who logs in: the service may not see it.
  const owner = openAsOwner(url, { onIdleError: () => {} });
  onTestFinished(() => owner.close());
  const { rows } = await owner.pool.query<{ tls: boolean; isSocket: boolean }>(
    `select ssl as tls, inet_server_addr() is null as "isSocket" from pg_stat_ssl where pid = pg_backend_pid()`,
  );
  return rows[0];
};

async function psql(url: string, statement: string): Promise<string> {
  const { stdout } = await promisify(execFile)('psql', [url, '-XAtc', statement], { env: { PATH: process.env.PATH } });
  return stdout.trim();
}

describe('a way in', () => {
  const tcp = { tls: false, isSocket: false };
  const socket = { tls: false, isSocket: true };
  test.each<[string, () => string, object]>([
    ['a URL', () => `postgresql://${login}:${encoded}@127.0.0.1:${port}/lab`, tcp],
    ['postgres://', () => `postgres://${login}:${encoded}@localhost:${port}/lab`, tcp],
    [
      'a folder of sockets as a parameter',
      () => `postgresql://${login}:${encoded}@/lab?host=${folder}&port=${port}`,
      socket,
    ],
    [
      'all as parameters',
      () => `postgresql:///?host=${folder}&port=${port}&user=${login}&password=${encoded}&dbname=lab`,
      socket,
    ],
    [
      'a folder of sockets as the host',
      () => `postgresql://${login}:${encoded}@${encodeURIComponent(folder)}:${port}/lab`,
      socket,
    ],
    [
      'pairs',
      () => `host=${folder} port = ${port} dbname=lab user='${login}' password='${password.replace(/[\\']/g, '\\$&')}'`,
      socket,
    ],
    [
      'IPv4 beside the name',
      () => `postgresql://${login}:${encoded}@db.nowhere.invalid:${port}/lab?hostaddr=127.0.0.1`,
      tcp,
    ],
    ['several hosts, the first away', () => `postgresql://${login}:${encoded}@127.0.0.1:1,127.0.0.1:${port}/lab`, tcp],
    [
      'a host and a folder of sockets',
      () => `postgresql://${login}:${encoded}@/lab?host=127.0.0.1,${folder}&port=1,${port}`,
      socket,
    ],
    [
      'several hosts, one of them a primary',
      () => `postgresql://${login}:${encoded}@127.0.0.1:1,127.0.0.1:${port}/lab?target_session_attrs=read-write`,
      tcp,
    ],
    ['a raw % in the password', () => `postgresql://raw:p%zz@127.0.0.1:${port}/lab`, tcp],
    ['a raw @ and ? in the password', () => `postgresql://signs:a@b?c#d@127.0.0.1:${port}/lab`, tcp],
  ])('%s', async (_name, url, expected) => {
    await cluster.query(`do $$ begin create role raw superuser login password 'p%zz'; create role signs superuser login password 'a@b?c#d';
      exception when duplicate_object then null; end $$`);
    expect(await facts(url())).toEqual(expected);
  });

  test.each<[string, string, RegExp]>([
    ['a parameter that nobody knows', 'postgresql://h/db?sslmod=require', /"sslmod", which is none/],
    ['a mode that nobody knows', 'postgresql://h/db?sslmode=on', /"sslmode" is none of disable, /],
    ['a port that is none', 'postgresql://h:99999/db', /port is no whole number/],
    ['more ports than hosts', 'postgresql://a,b:1/db?port=1,2,3', /names 2 hosts and 3 ports/],
    ['a word', 'localhost', /begins with none of/],
    ['a pair without an end', "host='a", /no list of parameters/],
    ['a binding that nobody can insist on', 'postgresql://h/db?channel_binding=require', /channel_binding/],
  ])('%s is refused by the configuration, which shows no value', async (_name, url, reason) => {
    await expect(open({ DATABASE_URL: url })).rejects.toThrow(reason);
    await expect(open({ DATABASE_URL: url })).rejects.not.toThrow(/:\/\/h|99999\/db/);
  });

  test('variables of libpq say what the address leaves open', async () => {
    const variables = { PGHOST: folder, PGPORT: String(port), PGUSER: login, PGPASSWORD: password, PGDATABASE: 'lab' };
    const { database } = await open({ DATABASE_URL: 'postgresql://', ...variables });
    const { rows } = await database.everyOrganization.upkeep.pool.query(
      'select session_user as login, current_database() as name',
    );
    expect(rows).toEqual([{ login, name: 'lab' }]);
  });

  test('a wrong password is refused at once', async () => {
    const startedAt = performance.now();
    await expect(open({ DATABASE_URL: `postgresql://${login}:100%25@127.0.0.1:${port}/lab` })).rejects.toThrow(
      /refuses the connection: password authentication failed/,
    );
    expect(performance.now() - startedAt).toBeLessThan(8_000);
  });
});

describe('TLS', () => {
  const at = (host: string, query: string) => `postgresql://${login}:${encoded}@${host}:${port}/lab?${query}`;
  const encrypted = { tls: true, isSocket: false };

  test.each<[string, () => string]>([
    ['prefer', () => at('127.0.0.1', 'sslmode=prefer')],
    ['require', () => at('127.0.0.1', 'sslmode=require')],
    ['no-verify', () => at('127.0.0.1', 'sslmode=no-verify')],
    ['ssl=true', () => at('127.0.0.1', 'ssl=true')],
    ['verify-ca', () => at('127.0.0.1', `sslmode=verify-ca&sslrootcert=${certificates.ca}`)],
    ['verify-ca under another name', () => at('127.0.0.2', `sslmode=verify-ca&sslrootcert=${certificates.ca}`)],
    ['verify-full', () => at('localhost', `sslmode=verify-full&sslrootcert=${certificates.ca}`)],
    ['verify-full of an IP address', () => at('127.0.0.1', `sslmode=verify-full&sslrootcert=${certificates.ca}`)],
    [
      'verify-full of the name beside an address',
      () => at('metrology.lab.internal', `hostaddr=127.0.0.2&sslmode=verify-full&sslrootcert=${certificates.ca}`),
    ],
    ['require with the right root', () => at('127.0.0.1', `sslmode=require&sslrootcert=${certificates.ca}`)],
    [
      'a certificate of its own',
      () =>
        at('localhost', `sslmode=require&sslcert=${join(folder, 'client.pem')}&sslkey=${join(folder, 'client.key')}`),
    ],
  ])('%s', async (_name, url) => {
    if (url().includes('127.0.0.2'))
      await cluster.query(`alter system set listen_addresses = '*'`).then(() => restart());
    expect(await facts(url())).toEqual(encrypted);
  });

  test.each<[string, () => string, RegExp]>([
    [
      'verify-ca, another root',
      () => at('localhost', `sslmode=verify-ca&sslrootcert=${certificates.otherCa}`),
      /certificate/,
    ],
    ['verify-full, a root that is not known', () => at('localhost', 'sslmode=verify-full'), /certificate/],
    [
      'verify-full under another name',
      () => at('lab-db', `hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert=${certificates.ca}`),
      /does not match certificate's altnames/,
    ],
    [
      'require, another root',
      () => at('localhost', `sslmode=require&sslrootcert=${certificates.otherCa}`),
      /certificate/,
    ],
    [
      'a root that is not there',
      () => at('localhost', 'sslmode=verify-full&sslrootcert=/nowhere.crt'),
      /"sslrootcert" cannot be read/,
    ],
  ])('%s: refused at once, with the reason', async (_name, url, reason) => {
    const startedAt = performance.now();
    await expect(facts(url())).rejects.toThrow(reason);
    expect(performance.now() - startedAt).toBeLessThan(8_000);
  });

  test('is taken without being asked for where PostgreSQL wants it', async () => {
    await rules('local all metrology trust', 'host all metrology all trust', `hostssl all ${login} all scram-sha-256`);
    onTestFinished(() =>
      rules(
        'local all metrology trust',
        'host all metrology all trust',
        'local all all scram-sha-256',
        'host all all all scram-sha-256',
      ),
    );
    expect(await facts(`postgresql://${login}:${encoded}@127.0.0.1:${port}/lab`)).toEqual(encrypted);
    await expect(facts(at('127.0.0.1', 'sslmode=disable'))).rejects.toThrow(/no encryption/);
  });

  test('prefer and allow go without it where there is none, require does not', async () => {
    const plain = await openCluster();
    onTestFinished(() => plain.remove());
    await plain.start();
    const url = plain.url();
    for (const mode of ['prefer', 'allow']) {
      expect(await facts(`${url}?sslmode=${mode}`)).toEqual({ tls: false, isSocket: false });
    }
    await expect(facts(`${url}?sslmode=require`)).rejects.toThrow('does not support SSL');
  });
});

describe('what sql-readers create prints works in psql as it is', () => {
  test.each<[string, () => string]>([
    ['TCP', () => `postgresql://${login}:${encoded}@127.0.0.1:${port}/lab`],
    ['a Unix socket', () => `postgresql://${login}:${encoded}@/lab?host=${folder}&port=${port}`],
    ['sslmode=no-verify', () => `postgresql://${login}:${encoded}@127.0.0.1:${port}/lab?sslmode=no-verify`],
    [
      'a root certificate',
      () => `postgresql://${login}:${encoded}@localhost:${port}/lab?sslmode=verify-full&sslrootcert=${certificates.ca}`,
    ],
    ['several hosts', () => `postgresql://${login}:${encoded}@127.0.0.1:1,127.0.0.1:${port}/lab`],
    [
      'pairs with options',
      () =>
        `host=${folder} port=${port} dbname=lab user=${login} password='${password}' options='-c work_mem=8MB' application_name=x`,
    ],
  ])('%s', async (_name, url) => {
    const { database } = await open({ DATABASE_URL: url() });
    const { ask } = await serveOn(database);
    const opened = await ask('POST', '/metrology/stream/initialize', { points_per_chunk: 1 });
    const chunk = { data_id: opened.json.data_id, chunk_index: 0, channel_name: 't', timestamps: [1], values: [2] };
    expect((await ask('POST', '/metrology/stream/chunk', chunk)).status).toBe(201);
    const owner = openAsOwner(url(), { onIdleError: () => {} });
    onTestFinished(() => owner.close());
    const reader = await createSqlReader(owner, url(), 'lab');
    expect(Number(await psql(reader.url, 'select count(*) from points'))).toBeGreaterThan(0);
  });
});

async function restart(): Promise<void> {
  await cluster.stop();
  await cluster.start();
}
