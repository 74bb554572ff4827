import type { Sql, Target } from './target.ts';

const pointsPerChunk = 1_000;
const chunksPerChannel = 100;
const channelsPerStream = 10;
const chunksPerStatement = 2_000;

/**
 * Fills a server's database with chunks as ingest would have stored them, but by the database itself, which is a
 * hundred times as fast as sending them.
 */
export async function fillWithPoints(target: Target, points: number, say: (text: string) => void): Promise<void> {
  const sql = target.sql as Sql;
  const channelCount = Math.ceil(points / pointsPerChunk / chunksPerChannel);
  const channels = await makeChannels(sql, channelCount);
  const batch = Math.max(1, Math.floor(chunksPerStatement / chunksPerChannel));
  for (let start = 0; start < channels.length; start += batch) {
    await sql(insertChunks, [channels.slice(start, start + batch), chunksPerChannel, pointsPerChunk]);
    const done = Math.min(channels.length, start + batch) / channels.length;
    if ((start / batch) % 10 === 0) say(`filling: ${Math.round(done * 100)} %`);
  }
  await sql(countChannels, [channels]);
  await sql('vacuum analyze');
  await sql('checkpoint');
}

async function makeChannels(sql: Sql, count: number): Promise<number[]> {
  const rows = await sql<{ channel_id: number }>(
    `with stream as (
       insert into streams (organization_id, user_id, stream_name, points_per_chunk)
       select organization_id, user_id, 'filled ' || g, $2::integer
       from (select * from users limit 1) u, generate_series(1, $1::integer) g
       returning data_id, organization_id
     )
     insert into channels (organization_id, data_id, channel_name)
     select organization_id, data_id, 'channel-' || g from stream, generate_series(1, $3::integer) g
     returning channel_id::float8 as channel_id`,
    [Math.ceil(count / channelsPerStream), pointsPerChunk, channelsPerStream],
  );
  return rows.map((row) => row.channel_id).slice(0, count);
}

/** The values need not be like real ones, since ingest does not read them. `0 * i` makes PostgreSQL evaluate the array for each row. */
const insertChunks = `
  insert into chunks (organization_id, data_id, channel_id, chunk_index, start_offset, key_id, time_min, time_max, point_count, null_count,
                      ascending, content_hash, units, timestamps, values)
  select c.organization_id, c.data_id, c.channel_id, i, i * $3::bigint, k.key_id, t, t + ($3::bigint - 1) * 0.1, $3::integer, 0, true,
         sha256(convert_to(c.channel_id || ' ' || i, 'UTF8')), 'nm',
         array(select t + g * 0.1::float8 from generate_series(0, $3::integer - 1) g),
         array(select random() * 600 + 0 * i from generate_series(1, $3::integer) g)
  from unnest($1::float8[]) as ids (id)
  join channels c on c.channel_id = ids.id::bigint,
       (select key_id from api_keys limit 1) k,
       generate_series(0, $2::bigint - 1) i,
       lateral (select 1600000000 + (i * $3::bigint)::float8 * 0.1 as t) start`;

const countChannels = `
  update channels c
  set chunk_count = s.chunks, point_count = s.points, time_min = s.time_min, time_max = s.time_max, units = 'nm',
      chunk_seconds_max = s.seconds_max, units_chunk_index = s.units_chunk_index
  from (select channel_id, count(*) as chunks, sum(point_count) as points, min(time_min) as time_min,
               max(time_max) as time_max, max(time_max - time_min) as seconds_max, max(chunk_index) as units_chunk_index
        from chunks group by channel_id) s
  where c.channel_id = s.channel_id and c.channel_id = any ($1::float8[]::bigint[])`;
