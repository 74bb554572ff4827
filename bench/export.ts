import { download } from './support/download.ts';
import { fillOneStream } from './support/one-stream.ts';
import { compare } from './support/rounds.ts';
import type { Result, Row } from './support/row.ts';
import type { Target } from './support/target.ts';

const pointsPerChunk = 1_000;

export const exportRow: Row = {
  id: 'export',
  question: 'How long does a file of a stream take to the last byte, against COPY of the same rows?',
  async run(bench) {
    const { readPoints } = bench.options;
    return bench.on('ours', async (target) => {
      const stream = await fillOneStream(bench, target, { points: readPoints, pointsPerChunk });
      const results: Result[] = [];
      for (const format of ['CSV', 'Parquet'] as const) {
        const path = `/exports/${stream}?format=${format.toLowerCase()}`;
        let bytes = 0;
        await download(target, path, (piece) => {
          bytes += piece.length;
        });
        bench.say(`${format}: ${(bytes / readPoints).toFixed(1)} bytes a point`);
        const result = await compare(
          bench,
          {
            title: `export of ${readPoints.toLocaleString('en')} points as long ${format}, against copy … to stdout (format csv)`,
            unit: 'ms',
            bound: { of: 'ratio', is: 'at most', must: 2, aim: 1 },
          },
          {
            ours: {
              durability: 'through the server, no connection held',
              round: () => download(target, path, () => {}),
            },
            baseline: {
              durability: 'from PostgreSQL itself, its connection held',
              round: () => timed(() => copy(target, stream)),
            },
          },
        );
        results.push(result);
      }
      return results;
    });
  },
};

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** The columns of the long layout, the chunks in their order. */
async function copy(target: Target, stream: string): Promise<number> {
  const bytes = await target.copyOut?.(`
    copy (
      select c.channel_name, k.chunk_index, k.start_offset + p.position - 1 as point_offset, p.timestamp,
        to_timestamp(p.timestamp) as time, p.value, k.units
      from channels c
      join (select * from chunks order by channel_id, chunk_index) k using (data_id, channel_id)
      cross join unnest(k.timestamps, k.values) with ordinality as p (timestamp, value, position)
      where c.data_id = '${stream}'
    ) to stdout (format csv, header)`);
  if (!bytes) throw new Error('COPY gave nothing');
  return bytes;
}
