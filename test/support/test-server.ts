import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { inject } from 'vitest';
import { type AppDependencies, buildApp } from '../../src/app.ts';
import { createKey } from '../../src/auth/keys.ts';
import { type Database, type OwnerDatabase, openAsOwner, openDatabase } from '../../src/database/database.ts';
import type { App } from '../../src/http/app-type.ts';
import { administer, loginOf, spread, urlOfDatabase } from './global-setup.ts';

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | number | undefined>;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  json: any;
}

export interface TestServer {
  app: App;
  database: Database;
  /** Looks at the tables as PostgreSQL has them, and changes them behind the server's back. */
  owner: OwnerDatabase;
  /** Of the owner. */
  databaseUrl: string;
  /** A key of the organization `lab`, user `ada`; and of `lab`, user `grace`; and of the organization `rival`. */
  keys: { ada: string; grace: string; rival: string };
  /** Sends a request as `ada` (or under another key; `null` for none) and reads the answer. */
  send(method: string, url: string, body?: unknown, key?: string | null): Promise<Answer>;
  get(url: string, key?: string | null): Promise<Answer>;
  post(url: string, body?: unknown, key?: string | null): Promise<Answer>;
  close(): Promise<void>;
}

export type TestConfig = Partial<AppDependencies['config']>;
/** Bounds of rooms that a test makes small, so that it can meet them. */
export type TestLimits = NonNullable<AppDependencies['limits']>;

/** A name for a database that is dropped at the end of the run, and so are roles that have it in their names. */
export const newDatabaseName = () => `${inject('templateName')}_${randomUUID().slice(0, 13).replace('-', '')}`;

/**
 * A database of its own, cloned from the migrated template, until the end of the run; on a cluster it is distributed.
 * @returns its URL as the owner
 */
export async function cloneDatabase(): Promise<string> {
  const databaseUrl = await copyDatabase(inject('templateName'));
  const workerUrls = inject('workerUrls');
  if (workerUrls.length > 0) {
    await spread(inject('adminUrl'), workerUrls, nameOfDatabase(databaseUrl));
    await dropEarlier(nameOfDatabase(databaseUrl));
  }
  return databaseUrl;
}

/**
 * Each distributed database keeps sessions open between the nodes, and files run one after the other on a cluster: so those of files
 * that are long over are dropped.
 */
async function dropEarlier(name: string): Promise<void> {
  spreadBefore.push(name);
  while (spreadBefore.length > spreadAtATimeMax) {
    const earliest = spreadBefore.shift();
    for (const url of [inject('adminUrl'), ...inject('workerUrls')])
      await administer(url, `drop database if exists ${earliest} with (force)`);
  }
}

const spreadBefore: string[] = [];
const spreadAtATimeMax = 20;

/** A copy of a database of this run, until the end of the run. Nobody may be connected to it. @returns its URL as the owner */
export async function copyDatabase(of: string): Promise<string> {
  const adminUrl = inject('adminUrl');
  const name = newDatabaseName();
  await administer(adminUrl, `create database ${name} template ${of}`);
  return urlOfDatabase(adminUrl, name);
}

export const nameOfDatabase = (databaseUrl: string) => new URL(databaseUrl).pathname.slice(1);

/** The whole app on a database of its own, with three keys. Call once per test file (`beforeAll`), close at its end. */
export async function startTestServer(config: TestConfig = {}, limits: TestLimits = {}): Promise<TestServer> {
  return serveTestDatabase(await cloneDatabase(), config, limits);
}

/** The whole app on a database that has no keys yet. */
export async function serveTestDatabase(
  databaseUrl: string,
  config: TestConfig = {},
  limits: TestLimits = {},
): Promise<TestServer> {
  const database = openTestDatabase(databaseUrl);
  const keys = {
    ada: await createKey(database, 'lab', 'ada'),
    grace: await createKey(database, 'lab', 'grace'),
    rival: await createKey(database, 'rival', 'eve'),
  };
  return serveInProcess(database, databaseUrl, keys, config, limits);
}

/**
 * One more server on the database of another one, with its keys; close it before the other.
 * @param change what it has instead of its database
 */
export function joinTestServer(
  { databaseUrl, keys }: Pick<TestServer, 'databaseUrl' | 'keys'>,
  config: TestConfig = {},
  change: (database: Database) => Database = (database) => database,
  limits: TestLimits = {},
): Promise<TestServer> {
  return serveInProcess(change(openTestDatabase(databaseUrl)), databaseUrl, keys, config, limits);
}

const openTestDatabase = (databaseUrl: string) =>
  openDatabase(loginOf(databaseUrl), { poolMax: 8, onIdleError: () => {} });

async function serveInProcess(
  database: Database,
  databaseUrl: string,
  keys: TestServer['keys'],
  config: TestConfig,
  limits: TestLimits,
): Promise<TestServer> {
  // A server looks before it listens.
  await database.readiness.look();
  const app = await buildApp({
    config: {
      FINALIZE_GRACE_SECONDS: 120,
      STREAM_IDLE_SECONDS: 3_600,
      BODY_LIMIT_BYTES: 4 * 1024 * 1024,
      BODIES_LIMIT_BYTES: 128 * 1024 * 1024,
      REFERENCE_CLOCK: false,
      SESSION_HOURS: 1,
      METRICS_OPEN: true,
      ...config,
    },
    database,
    log: pino({ level: process.env.LOG_LEVEL ?? 'silent' }),
    limits,
  });
  const send = async (method: string, url: string, body?: unknown, key: string | null = keys.ada): Promise<Answer> => {
    const headers: Record<string, string> = {};
    if (key !== null) headers['x-api-key'] = key;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const payload = body === undefined || typeof body === 'string' ? body : toJson(body);
    const { statusCode, ...answer } = await app.inject({
      method: method as 'GET',
      url,
      headers,
      ...(payload !== undefined && { payload }),
    });
    return { status: statusCode, headers: answer.headers, text: answer.payload, json: parsed(answer.payload) };
  };
  const owner = openAsOwner(databaseUrl, { poolMax: 8, onIdleError: () => {} });
  return {
    app,
    database,
    owner,
    databaseUrl,
    keys,
    send,
    get: (url, key) => send('GET', url, undefined, key),
    post: (url, body, key) => send('POST', url, body, key),
    close: async () => {
      await app.close();
      await Promise.all([database.close(), owner.close()]);
    },
  };
}

/** JSON as Python writes it: −0 keeps its sign, which JSON.stringify drops. */
export function toJson(body: unknown): string {
  const mark = '\u0001negative zero';
  return JSON.stringify(body, (_key, value) => (Object.is(value, -0) ? mark : value)).replaceAll(
    JSON.stringify(mark),
    '-0.0',
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
