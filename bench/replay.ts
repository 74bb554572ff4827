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
        // Both passes belong to one round on one server; the first comes first, and the replay is reported as ours.
        ours: {
          durability: 'nothing to store',
          round: () =>
            bench.on('ours', async (server) => {
              const sql = server.sql as Sql;
              const target = { ...server, storedPoints: () => countersOf(sql) };
              const wish = { format: 'chunk', points: 100 } as const;
              // The server is warm for both: this run is another one.
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
              // Counts the chunks too, and throws where they differ from the counters.
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
 * The counters only. A look at the chunks between the passes would mark each as committed, which the replay, the first to
 * read them, then would not have to do; and where pages have checksums a first mark after a checkpoint logs the page.
 */
async function countersOf(sql: Sql): Promise<number> {
  const [row] = await sql<{ points: number }>('select coalesce(sum(point_count), 0)::float8 as points from channels');
  return (row as { points: number }).points;
}

/** Where the next record goes: what the log holds but has not written yet counts too, such as images of pages that a read touched. */
async function walBytes(sql: Sql): Promise<number> {
  const [row] = await sql<{ bytes: number }>(`select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8 as bytes`);
  return (row as { bytes: number }).bytes;
}
