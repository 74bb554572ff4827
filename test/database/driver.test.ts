import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import {
  askToCancel,
  cut,
  DatabaseClient,
  databaseError,
  isConnectionError,
  isDriverFailure,
  isPoolFull,
  isReadTimeout,
  processOf,
  runCopy,
  sendsAhead,
  sendTogether,
  withoutClient,
} from '../../src/database/driver.ts';
import { sqlstates } from '../../src/database/sqlstates.ts';
import { startTcpProxy } from '../http/support/tcp-proxy.ts';

/* A release of pg, pg-pool or pg-copy-streams that does something else than driver.ts relies on fails here. */

/** A place that takes connections and says nothing. */
const mute = net.createServer((socket) => void socket.on('error', () => {}).resume());
let muteUrl: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  muteUrl = `postgresql://a:b@127.0.0.1:${(mute.address() as AddressInfo).port}/none`;
});
afterAll(() => void mute.close());

/** A connection of its own, which ends with the test. */
async function open(config: pg.ClientConfig = {}): Promise<DatabaseClient> {
  const client = new DatabaseClient({ connectionString: inject('adminUrl'), ...config });
  client.on('error', () => {});
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  return client;
}

function openPool(config: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString: inject('adminUrl'), max: 1, ...config });
  pool.on('error', () => {}).on('connect', (client) => client.on('error', () => {}));
  onTestFinished(() => (pool.ending ? undefined : pool.end()));
  return pool;
}

const failureOf = (call: Promise<unknown>): Promise<Error> =>
  call.then(
    () => Promise.reject(new Error('it did not fail')),
    (error) => error,
  );

describe('a connection', () => {
  test('with pipeline sends what is sent together in one piece, in which nothing is lost', async () => {
    const pieces: Buffer[] = [];
    const { hostname, port } = new URL(inject('adminUrl'));
    const recorder = net.createServer((near) => {
      const far = net.connect(Number(port), hostname);
      near.on('error', () => {}).on('data', (piece) => pieces.push(piece));
      near.pipe(far);
      far.on('error', () => {}).pipe(near);
      near.on('close', () => far.destroy());
    });
    await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void recorder.close());
    const url = new URL(inject('adminUrl'));
    url.port = String((recorder.address() as AddressInfo).port);
    const client = await open({ connectionString: url.href, pipeline: true });
    await client.query('select 0');

    pieces.length = 0;
    const statements = ['begin', 'select 1 as n', 'select 2 as n', 'commit'];
    const sent = sendTogether(client, () => statements.map((text) => client.query({ text, values: [] })));
    const answers = await Promise.all(sent);
    expect(answers.map(({ rows }) => rows[0]?.n)).toEqual([undefined, 1, 2, undefined]);
    expect(pieces).toHaveLength(1);
    expect([sendsAhead(client), sendsAhead(await open())]).toEqual([true, false]);
    for (const text of statements) expect(pieces[0]?.includes(text)).toBe(true);

    const failed = () =>
      sendTogether(client, () => {
        throw new Error('not sent');
      });
    expect(failed).toThrow('not sent');
    expect((await client.query('select 3 as n')).rows).toEqual([{ n: 3 }]);
  });

  test('that is cut fails what runs and what waits with the very error it was cut with, and is of no more use', async () => {
    const client = await open();
    const why = new Error('it has been silent for too long');
    const calls = [client.query('select pg_sleep(60)'), client.query('select 1')].map(failureOf);
    cut(client, why);
    for (const failure of await Promise.all(calls)) expect(failure).toBe(why);
    expect(isConnectionError(why)).toBe(true);
    expect(isDriverFailure(await failureOf(client.query('select 1')))).toBe(true);
  });

  test('that is cut without an error fails what runs as one that is lost', async () => {
    const client = await open();
    const failure = failureOf(client.query('select pg_sleep(60)'));
    cut(client);
    expect(isDriverFailure(await failure)).toBe(true);
  });

  test('knows its process of PostgreSQL', async () => {
    const client = await open();
    const { rows } = await client.query('select pg_backend_pid() as pid');
    expect(processOf(client)).toBe(rows[0].pid);
  });

  test('whose statement is to be cancelled ends it, and goes on', async () => {
    const client = await open();
    const failure = failureOf(client.query('select pg_sleep(60)'));
    await sleep(50);
    askToCancel(client);
    expect(await failure).toMatchObject({ code: sqlstates.queryCanceled });
    expect((await client.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
  });

  test('notes the errors of its socket as its own, and not what PostgreSQL answers', async () => {
    const nobody = new DatabaseClient('postgresql://a:b@127.0.0.1:1/none');
    const refused = await failureOf(nobody.connect());
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
    expect(isConnectionError(refused)).toBe(true);
    const nowhere = await failureOf(new DatabaseClient('postgresql://a:b@nowhere.invalid/none').connect());
    expect(isConnectionError(nowhere)).toBe(true);
    const answered = await failureOf((await open()).query('select 1 / 0'));
    expect(answered).toMatchObject({ code: sqlstates.divisionByZero });
    expect(isConnectionError(answered)).toBe(false);
  });
});

describe('a COPY', () => {
  const many = 'copy (select repeat($$x$$, 1000) from generate_series(1, 1000)) to stdout';
  const query_timeout = 300;

  async function bytesOf(rows: AsyncIterable<Buffer>): Promise<number> {
    let bytes = 0;
    for await (const piece of rows) bytes += piece.length;
    return bytes;
  }

  /** What the client says of a COPY after it is over. */
  async function lateErrorOf(run: (client: pg.Client) => NodeJS.EventEmitter & AsyncIterable<Buffer>) {
    const rows = run(await open({ query_timeout }));
    let late: Error | undefined;
    rows.on('error', (error) => {
      late = error;
    });
    expect(await bytesOf(rows)).toBe(1_001_000);
    await sleep(query_timeout + 200);
    return late;
  }

  test('that is over is not failed by the clock of query_timeout', async () => {
    expect(await lateErrorOf((client) => runCopy(client, copyTo(many)))).toBeUndefined();
  });

  test('would be, if nobody stopped that clock: else runCopy is needed no more', async () => {
    expect(isReadTimeout(await lateErrorOf((client) => client.query(copyTo(many))))).toBe(true);
  });

  test('that says nothing for so long is failed by it', async () => {
    const rows = runCopy(await open({ query_timeout }), copyTo('copy (select pg_sleep(60)) to stdout'));
    expect(isReadTimeout(await failureOf(bytesOf(rows)))).toBe(true);
  });

  test('that PostgreSQL refuses fails with its error, and the connection goes on', async () => {
    const client = await open({ query_timeout });
    const failure = await failureOf(bytesOf(runCopy(client, copyTo('copy (select 1 / 0) to stdout'))));
    expect(failure).toMatchObject({ code: sqlstates.divisionByZero });
    await sleep(query_timeout + 100);
    expect((await client.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
  });
});

describe('a pool', () => {
  test('gives a new connection out when verify has let it pass, and to nobody otherwise', async () => {
    const verified: number[] = [];
    let refusal: Error | undefined;
    const verify = (client: pg.PoolClient, done: (error?: Error) => void) => {
      verified.push(processOf(client));
      done(refusal);
    };
    const pool = openPool({ verify });
    const one = await pool.connect();
    expect(verified).toEqual([processOf(one)]);
    one.release();
    (await pool.connect()).release(true);
    expect(verified).toHaveLength(1);
    refusal = new Error('it leads elsewhere');
    expect(await failureOf(pool.connect())).toBe(refusal);
    expect(pool.totalCount).toBe(0);
  });

  test('puts the client into the error of an idle connection, and driver.ts takes it out', async () => {
    const pool = openPool();
    const client = await pool.connect();
    const told = once(pool, 'error') as Promise<[Error & { client?: unknown }]>;
    client.release();
    cut(client, new Error('cut'));
    const [error] = await told;
    expect(error.client).toBe(client);
    expect(withoutClient(error)).not.toHaveProperty('client');
  });

  test('comes back to its size when max was changed for a while', async () => {
    const pool = openPool({ max: 2, connectionTimeoutMillis: 2_000 });
    const first = await pool.connect();
    pool.options.max = 1;
    const second = pool.connect();
    expect(pool.waitingCount).toBe(1);
    first.release();
    (await second).release();
    expect(pool.totalCount).toBe(1);
    pool.options.max = 2;
    const both = await Promise.all([pool.connect(), pool.connect()]);
    expect(pool.totalCount).toBe(2);
    for (const client of both) client.release();
  });

  test('takes the connections of its own statements by its method connect, with a callback', async () => {
    const asked: unknown[][] = [];
    class Asked extends pg.Pool {
      override connect(...given: unknown[]): never {
        asked.push(given);
        return super.connect(...(given as [])) as never;
      }
    }
    const pool = new Asked({ connectionString: inject('adminUrl'), max: 1 });
    onTestFinished(() => pool.end());
    await pool.query('select 1');
    expect(asked).toEqual([[expect.any(Function)]]);
  });
});

describe('an error is known by its text', () => {
  test('of a statement that is not answered in time, on a plain connection and on one that sends ahead', async () => {
    for (const pipeline of [false, true]) {
      const client = await open({ query_timeout: 100, pipeline });
      const failure = await failureOf(client.query('select pg_sleep(60)'));
      expect([isReadTimeout(failure), isDriverFailure(failure), isPoolFull(failure)]).toEqual([true, true, false]);
      askToCancel(client);
    }
  });

  test('of a pool that has none free', async () => {
    const pool = openPool();
    const held = await pool.connect();
    // Not before: to make the first connection takes longer on a busy machine.
    pool.options.connectionTimeoutMillis = 50;
    const failure = await failureOf(pool.query('select 1'));
    expect([isReadTimeout(failure), isDriverFailure(failure), isPoolFull(failure)]).toEqual([false, true, true]);
    held.release();
  });

  const lost: [string, () => Promise<Error>][] = [
    ['the other end has closed it', cutByProxy],
    [
      'it is ended here while a statement runs',
      async () => {
        const client = await open();
        const failure = failureOf(client.query('select pg_sleep(60)'));
        client.end().catch(() => {});
        cut(client);
        return failure;
      },
    ],
    [
      'it is used after that',
      async () => {
        const client = await open();
        cut(client, new Error('cut'));
        await new Promise<void>((resolve) => client.once('end', resolve));
        return failureOf(client.query('select 1'));
      },
    ],
    [
      'a client is not answered when it connects',
      () => failureOf(new DatabaseClient({ connectionString: muteUrl, connectionTimeoutMillis: 50 }).connect()),
    ],
    [
      'a pool is not',
      () => failureOf(openPool({ connectionString: muteUrl, connectionTimeoutMillis: 50 }).query('select 1')),
    ],
    [
      'its pool was ended',
      async () => {
        const pool = openPool();
        await pool.end();
        return failureOf(pool.query('select 1'));
      },
    ],
  ];
  test.each(lost)('of a connection: %s', async (_name, lose) => {
    const failure = await lose();
    expect([isReadTimeout(failure), isDriverFailure(failure), isPoolFull(failure)], failure.message).toEqual([
      false,
      true,
      false,
    ]);
    expect(failure).not.toHaveProperty('code');
  });

  async function cutByProxy(): Promise<Error> {
    const proxy = await startTcpProxy(inject('adminUrl'));
    onTestFinished(() => proxy.close());
    const client = await open({ connectionString: proxy.urlOf(inject('adminUrl')) });
    const failure = failureOf(client.query('select pg_sleep(60)'));
    await sleep(50);
    proxy.cut();
    return failure;
  }

  test('and no other: not of what PostgreSQL answers, nor of what is no error', async () => {
    const failure = await failureOf((await open()).query('select 1 / 0'));
    for (const other of [failure, undefined, null, 'Query read timeout', { message: 'Connection terminated' }]) {
      expect([isReadTimeout(other), isDriverFailure(other), isPoolFull(other), isConnectionError(other)]).toEqual(
        Array(4).fill(false),
      );
    }
  });
});

test('an error that stands for one of PostgreSQL is told from it by nothing that is asked', async () => {
  const made = databaseError('division by zero', sqlstates.divisionByZero);
  const answered = await failureOf((await open()).query('select 1 / 0'));
  expect(made).toBeInstanceOf(pg.DatabaseError);
  expect(answered).toBeInstanceOf(pg.DatabaseError);
  expect(made).toMatchObject({ message: answered.message, code: (answered as pg.DatabaseError).code });
});
