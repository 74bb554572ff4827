import { readFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openAsOwner } from '../../src/database/database.ts';
import { cut } from '../../src/database/driver.ts';
import {
  CommitInDoubt,
  isAway,
  isCommitUndecided,
  isConnectionLoss,
  isNodeAway,
  passingFailure,
} from '../../src/database/failures.ts';
import { inTransaction } from '../../src/database/transactions.ts';

/** What a call failed with. */
async function failureOf(call: Promise<unknown>): Promise<Error> {
  const error = await call.then(
    () => undefined,
    (reason: Error) => reason,
  );
  if (error === undefined) throw new Error('it did not fail');
  return error;
}

/** A place that takes connections and resets them at once. */
const rude = net.createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', () => socket.resetAndDestroy());
});
let rudePort: number;
beforeAll(async () => {
  await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
  rudePort = (rude.address() as AddressInfo).port;
});
afterAll(() => {
  rude.close();
});

async function askAt(address: string): Promise<Error> {
  const { pool, close } = openAsOwner(address, { onIdleError: () => {} });
  try {
    return await failureOf(pool.query('select 1'));
  } finally {
    await close();
  }
}

describe('a database that cannot be reached', () => {
  test.each([
    ['nobody listens', () => 'postgresql://a:b@127.0.0.1:1/none'],
    ['nobody listens at any of its places', () => 'postgresql://a:b@127.0.0.1:1,127.0.0.1:2/none'],
    ['its host has no address', () => 'postgresql://a:b@nowhere.invalid/none'],
    ['its Unix socket is not there', () => 'postgresql://a:b@/none?host=/nowhere'],
    ['it resets the connection', () => `postgresql://a:b@127.0.0.1:${rudePort}/none?sslmode=disable`],
  ])('%s', async (_name, address) => {
    const failure = await askAt(address());
    expect([passingFailure(failure), failure.message]).toEqual(['The database cannot be reached', failure.message]);
    expect(isAway(failure)).toBe(true);
    expect(isConnectionLoss(failure)).toBe(true);
  });

  test('the connection is lost in a transaction, and at its commit', async () => {
    const { pool, close } = openAsOwner(inject('adminUrl'), { onIdleError: () => {} });
    const reset = () => Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
    const early = await failureOf(
      inTransaction(pool, async (client) => {
        cut(client, reset());
        await client.query('select 1');
      }),
    );
    expect(passingFailure(early)).toBe('The database cannot be reached');
    const late = await failureOf(
      inTransaction(pool, async (client) => {
        await client.query('select 1');
        cut(client, reset());
      }),
    );
    expect(late).toBeInstanceOf(CommitInDoubt);
    await close();
  });
});

describe('what has the same code and is no failure of the database', () => {
  test('a file that is not there', async () => {
    const failure = await failureOf(readFile('/nowhere/at/all'));
    expect((failure as NodeJS.ErrnoException).code).toBe('ENOENT');
    expect([passingFailure(failure), isAway(failure), isConnectionLoss(failure)]).toEqual([undefined, false, false]);
  });

  test.each([
    ['ECONNREFUSED', () => net.connect(1, '127.0.0.1')],
    ['ENOENT', () => net.connect('/nowhere.sock')],
    [
      'ECONNRESET',
      () => {
        const socket = net.connect(rudePort, '127.0.0.1');
        socket.write('hello');
        return socket;
      },
    ],
  ])('a socket to somebody else: %s', async (code, connect) => {
    const failure = await new Promise<NodeJS.ErrnoException>((resolve) => connect().once('error', resolve));
    expect(failure.code).toBe(code);
    expect([passingFailure(failure), isAway(failure), isConnectionLoss(failure)]).toEqual([undefined, false, false]);
  });
});

describe('a node of a cluster that is away', () => {
  const sent = (message: string, code: string, where?: string) =>
    Object.assign(new pg.DatabaseError(message, 0, 'error'), { code, where });
  const refused = sent(
    'connection to the remote node metrology_service@10.0.0.7:5432 failed with the following error: x',
    '08006',
  );
  const ended = sent(
    'terminating connection due to administrator command',
    '57P01',
    'while executing command on 10.0.0.7:5432',
  );
  const undecided = sent('could not commit transaction for shard 102040 on at least one active node', 'XX000');

  test.each([
    ['it refuses connections', refused],
    ['it has ended its session', ended],
    ['it was lost while it committed', undecided],
    ['and then the commit is in doubt', new CommitInDoubt(undecided)],
  ])('%s: the database as a whole is there', (_name, error) => {
    expect(isNodeAway(error)).toBe(true);
    expect(isAway(error)).toBe(false);
    expect(passingFailure(error)).toBeDefined();
  });

  test('only what was lost during the commit may be stored', () => {
    expect([refused, ended, undecided].map(isCommitUndecided)).toEqual([false, false, true]);
  });

  test.each([
    ['our own session was ended', sent('terminating connection due to administrator command', '57P01')],
    ['a statement failed on a node', sent('division by zero', '22012', 'while executing command on 10.0.0.7:5432')],
  ])('%s: no node is away', (_name, error) => {
    expect(isNodeAway(error)).toBe(false);
  });
});
