import { measure } from './support/load.ts';
import { compare, median, oursDurability } from './support/rounds.ts';
import type { Row } from './support/row.ts';
import type { Sql } from './support/target.ts';

/** A streamer that lost its connection sends its whole run again. */
export const replay: Row = {
  id: 'replay',
  question: 'What does a run cost that is sent again?',
  async run(bench) {
    const wal = { ours: [] as number[], baseline: [] as number[] };
    let second = 0;
    const speed = await compare(
      bench,
      {
        title: 'replay of a whole run, against its first write: speed',
        unit: 'chunks/s',
        bound: { of: 'ratio', is: 'at least', must: 1.3, aim: 2 },
      },
      {
        // One round is both passes, on one server: the first write, then the replay. The replay is reported as ours, the
        // first write as the baseline.
        ours: {
          durability: 'nothing to store',
          round: () =>
            bench.on('ours', async (server) => {
              const sql = server.sql as Sql;
              const target = { ...server, storedPoints: () => countersOf(sql) };
              const wish = { format: 'chunk', points: 100 } as const;
              // A run that does not count warms the server up for both passes.
              await measure(target, await bench.loadFor(target, wish), bench.options);
              const load = await bench.loadFor(target, wish);
              await sql('checkpoint');
              const start = await walBytes(sql);
              const first = await measure(target, load, bench.options);
              await sql('checkpoint');
              const middle = await walBytes(sql);
              const again = { ...load, requestsMax: first.sent, isReplay: true };
              const replayed = await measure(target, again, bench.options);
              wal.baseline.push((middle - start) / first.sent);
              wal.ours.push(((await walBytes(sql)) - middle) / replayed.sent);
              // Counts the chunks too, and throws when they differ from the counters.
              await server.storedPoints();
              bench.say(
                `first ${Math.round(first.requestsPerSecond)}/s, again ${Math.round(replayed.requestsPerSecond)}/s, ` +
                  `WAL ${wal.baseline.at(-1)?.toFixed(0)} and ${wal.ours.at(-1)?.toFixed(1)} bytes per chunk`,
              );
              second = first.requestsPerSecond;
              return replayed.requestsPerSecond;
            }),
        },
        baseline: { durability: oursDurability, round: async () => second },
      },
    );
    const ratios = wal.ours.map((bytes, i) => bytes / (wal.baseline[i] as number));
    return [
      speed,
      {
        title: 'replay of a whole run right after a checkpoint, against its first write: WAL',
        unit: 'bytes/chunk',
        ours: median(wal.ours),
        baseline: median(wal.baseline),
        ratio: median(ratios),
        bound: { of: 'ratio', is: 'at most', must: 0.005, aim: 0 },
        durability: speed.durability,
        rounds: wal,
      },
    ];
  },
};

/**
 * Counts points by the counters only. To read the chunks between the passes would set their hint bits. The replay, which
 * otherwise reads them first, would then not have to; and with page checksums the first hint bit of a page after a
 * checkpoint writes the page into the log.
 */
async function countersOf(sql: Sql): Promise<number> {
  const [row] = await sql<{ points: number }>('select coalesce(sum(point_count), 0)::float8 as points from channels');
  return (row as { points: number }).points;
}

/** The position of the next record, so that records in the buffers count too, such as images of pages that a read has touched. */
async function walBytes(sql: Sql): Promise<number> {
  const [row] = await sql<{ bytes: number }>(`select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8 as bytes`);
  return (row as { bytes: number }).bytes;
}
