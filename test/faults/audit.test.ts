import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { storeAsSent } from '../support/as-sent.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { audit } from './support/audit.ts';
import { openStream, sendChunk } from './support/chunks.ts';
import { type Client, createClient } from './support/client.ts';
import { contentOf, hashOf, imageOf } from './support/content.ts';
import { createHistory, type History } from './support/history.ts';

/* The audit of the fault tests is worth what it finds: here it is given rows that were tampered with. */

let server: TestServer;
let client: Client;
beforeAll(async () => {
  server = await startTestServer();
  const endpoint = await server.app.listen({ host: '127.0.0.1', port: 0 });
  client = createClient({ endpoint: () => endpoint, key: server.keys.ada });
});
afterAll(async () => {
  client?.close();
  await server?.close();
});

describe('the audit', () => {
  let history: History;
  let dataId: string;
  beforeEach(async () => {
    history = createHistory();
    dataId = await openStream(client, '/metrology/stream', 10);
    for (const [index, content] of [11, 12, 13].entries()) await send(index, content);
    await send(1, 14);
    await storeAsSent(server.owner);
  });
  const send = (index: number, content: number) =>
    sendChunk(client, history, 'the test', {
      dataId,
      index,
      channels: [
        ['p', content],
        ['t', content + 1_000],
      ],
      prefix: '/tool-state/stream',
    });
  const look = () => audit({ history, databaseUrl: server.databaseUrl, clients: [client] });
  const found = async () => (await look()).violations.map(({ place, what }) => `${place}: ${what}`);
  const tamper = (statement: string, values: unknown[] = []) => server.owner.pool.query(statement, [dataId, ...values]);
  const one = `data_id = $1 and chunk_index = 1 and channel_id = (
    select channel_id from channels where data_id = $1 and channel_name = 'p')`;

  test('finds nothing where nothing is wrong, and has looked at every chunk', async () => {
    expect(await look()).toEqual({ chunks: 6, violations: [] });
  });

  test('finds one bit of one value that is different, in PostgreSQL and in the answer, and tells who wrote there', async () => {
    await tamper(`update chunks set "values"[1] = "values"[1] + 1e-13 where ${one}`);
    const { violations } = await look();
    expect(violations.map(({ what }) => what)).toEqual([expect.stringContaining('a torn content')]);
    expect(violations[0]?.place).toBe(`stream ${dataId}, channel "p", chunk 1`);
    expect(violations[0]?.history).toEqual([
      expect.stringMatching(/^from [\d.]+ ms to [\d.]+ by the test: content 12, stored: 201 /),
      expect.stringMatching(/^from [\d.]+ ms to [\d.]+ by the test: content 14, stored: 201 /),
    ]);
  });

  test('finds a whole content that had been replaced before, and one that nobody has sent', async () => {
    for (const number of [12, 77]) {
      const image = imageOf(contentOf(number));
      await tamper(`update chunks set timestamps = $2, "values" = $3, content_hash = $4, units = $5 where ${one}`, [
        image.timestamps,
        image.values,
        image.hash,
        contentOf(number).units || null,
      ]);
      expect(await found()).toContainEqual(expect.stringContaining('"p", chunk 1: another content stands'));
    }
  });

  test('finds a hash that is wrong while the arrays are right, and a unit that is', async () => {
    await tamper(`update chunks set content_hash = sha256(content_hash) where ${one}`);
    expect(await found()).toEqual([expect.stringContaining('a torn content')]);
    const { timestamps, values } = imageOf(contentOf(14));
    await tamper(`update chunks set units = 'furlong', content_hash = $2 where ${one}`, [
      hashOf(timestamps, values, 'furlong'),
    ]);
    expect(await found()).toEqual([expect.stringContaining('another content stands')]);
  });

  test('finds a chunk that is gone, in PostgreSQL and by the counts', async () => {
    await tamper(`delete from chunks where ${one}`);
    const all = await found();
    expect(all).toContainEqual(expect.stringContaining('chunk 1: an acknowledged chunk is missing'));
    expect(all).toContainEqual(expect.stringMatching(/"p": counters .*"chunks":3.* beside chunks .*"chunks":2/));
    expect(all).toContainEqual(expect.stringMatching(/"p", server 1: point_count \d+ and \d+ points are answered/));
  });

  test('finds a count that is wrong, of a channel and of a chunk', async () => {
    await tamper(`update channels set point_count = point_count + 1 where data_id = $1 and channel_name = 't'`);
    expect(await found()).toEqual([
      expect.stringMatching(/"t": counters/),
      expect.stringMatching(/"t", server 1: point_count/),
    ]);
    await tamper(`update channels set point_count = point_count - 1 where data_id = $1 and channel_name = 't'`);
    await tamper(`update chunks set start_offset = 11 where ${one}`);
    expect(await found()).toContainEqual(expect.stringContaining('chunk 1: point_count'));
  });

  test('finds a chunk that was never sent, or was refused', async () => {
    await tamper(
      `insert into chunks select (jsonb_populate_record(k, '{"chunk_index": 9}')).* from chunks k where ${one}`,
    );
    expect(await found()).toContainEqual(expect.stringContaining('chunk 9: a chunk stands that was refused'));
  });

  test('finds a request without an answer of which only a part is stored', async () => {
    const chunk = {
      dataId,
      index: 5,
      channels: [['p', 21] as const, ['t', 22] as const],
      prefix: '/metrology/stream' as const,
    };
    const deaf: Client = {
      close() {},
      send: (...request) => client.send(...request).then(() => Promise.reject(new Error('cut'))),
    };
    await sendChunk(deaf, history, 'the test', chunk);
    expect(await look()).toMatchObject({ chunks: 8, violations: [] });
    await tamper(`delete from chunks where data_id = $1 and chunk_index = 5 and point_count = $2`, [
      contentOf(22).values.length,
    ]);
    expect(await found()).toContainEqual(
      `stream ${dataId}, channel "p", chunk 5: of a request of 2 channels only 1 are stored`,
    );
  });

  test('finds an answer that is wrong while PostgreSQL is right', async () => {
    const lying: Client = {
      close() {},
      async send(...request) {
        const answer = await client.send(...request);
        return { ...answer, body: answer.body.replace('"values":[14.25', '"values":[15.25') };
      },
    };
    const { violations } = await audit({ history, databaseUrl: server.databaseUrl, clients: [client, lying] });
    expect(violations.map(({ place, what }) => `${place}: ${what}`)).toEqual([
      `stream ${dataId}, channel "p", chunk 1, server 2: another content is answered`,
    ]);
  });
});

describe('what may stand', () => {
  const address = { dataId: 'd', channel: 'c', index: 0 };
  let history: History;
  let now: number;
  beforeEach(() => {
    now = 0;
    history = createHistory(() => now);
  });
  const begin = (at: number, content: number) => {
    now = at;
    return history.begin('w', [{ ...address, content }]);
  };
  const end = (at: number, attempt: ReturnType<typeof begin>, outcome: 'stored' | 'refused' | 'unknown') => {
    now = at;
    history.end(attempt, outcome, '');
  };
  const allowed = () => {
    const { contents, absent } = history.allowed(address);
    return [...contents, ...(absent ? ['absent'] : [])];
  };

  test('is what was acknowledged last', () => {
    end(2, begin(1, 7), 'stored');
    end(4, begin(3, 8), 'stored');
    expect(allowed()).toEqual([8]);
  });

  test('is either of two that ran at the same time', () => {
    const one = begin(1, 7);
    const other = begin(2, 8);
    end(3, one, 'stored');
    end(4, other, 'stored');
    expect(allowed()).toEqual([7, 8]);
  });

  test('is nothing where all was refused, and may be nothing where no answer came', () => {
    end(2, begin(1, 7), 'refused');
    expect(allowed()).toEqual(['absent']);
    end(4, begin(3, 8), 'unknown');
    expect(allowed()).toEqual([8, 'absent']);
  });

  test('may be what had no answer, even after a later one, until all that ran has ended', () => {
    end(2, begin(1, 7), 'unknown');
    end(4, begin(3, 8), 'stored');
    expect(allowed()).toEqual([7, 8]);
    history.settle();
    end(6, begin(5, 9), 'stored');
    expect(allowed()).toEqual([9]);
  });
});

test('contents differ by their numbers, and hash as PostgreSQL would', async () => {
  const hashes = new Set(Array.from({ length: 2_000 }, (_, number) => imageOf(contentOf(number)).hash.toString('hex')));
  expect(hashes.size).toBe(2_000);
  const { timestamps, values, hash } = imageOf(contentOf(5));
  const { rows } = await server.owner.pool.query(
    `select array_send($1::float8[]) = $2::bytea as same, sha256($2::bytea || $3::bytea) as hash`,
    [values, values, timestamps],
  );
  expect(rows[0]).toMatchObject({ same: true });
  expect(hash).toEqual(hashOf(timestamps, values, contentOf(5).units));
  expect(createHash('sha256').update(values).update(timestamps).digest()).toEqual(rows[0].hash);
});
