import type pg from 'pg';

/**
 * Makes channels of a run as copies of another of its channels, with its overview, in a fiftieth of the time that it would
 * take to send them.
 * @param client of the role that owns the tables
 */
export async function copyChannel(client: pg.Client, dataId: string, from: string, names: string[]): Promise<void> {
  const columnsOf = async (table: string) => {
    const { rows } = await client.query<{ name: string }>(
      `select quote_ident(column_name) as name from information_schema.columns
       where table_schema = 'public' and table_name = $1::text and column_name <> all (array['channel_id', 'channel_name'])
         and is_generated = 'NEVER'`,
      [table],
    );
    return rows.map(({ name }) => name).join(', ');
  };
  const ofChannels = await columnsOf('channels');
  const ofTables = [
    ['chunks', await columnsOf('chunks')],
    ['overviews', await columnsOf('overviews')],
  ];
  await client.query('set synchronous_commit = off');
  const sent = (table: string) =>
    `from ${table} where data_id = $1::uuid and channel_id = (select channel_id from channels where data_id = $1::uuid and channel_name = $2::text)`;
  for (const name of names) {
    const { rows } = await client.query<{ id: string }>(
      `insert into channels (channel_name, ${ofChannels}) select $3::text, ${ofChannels} ${sent('channels')} returning channel_id as id`,
      [dataId, from, name],
    );
    for (const [table, columns] of ofTables) {
      await client.query(
        `insert into ${table} (channel_id, ${columns}) select $3::bigint, ${columns} ${sent(table as string)}`,
        [dataId, from, rows[0]?.id],
      );
    }
  }
  await client.query('vacuum analyze channels, chunks, overviews');
  await client.query('checkpoint');
}
