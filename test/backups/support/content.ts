import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { backUp, type Made } from '../../../src/backups/backup.ts';
import type { BackupLimits } from '../../../src/backups/limits.ts';
import type { ConnectionSource } from '../../../src/database/access.ts';
import { type OwnerDatabase, openAsOwner, openDatabase } from '../../../src/database/database.ts';
import { storeAsSent } from '../../support/as-sent.ts';
import { loginOf } from '../../support/global-setup.ts';
import type { TestServer } from '../../support/test-server.ts';

/** Something of everything that can be stored: each form of a series, absent readings, replaced contents, overviews, sessions. */
export async function fill(server: TestServer): Promise<string> {
  const post = async (url: string, body: unknown) => {
    const answer = await server.post(url, body);
    expect([url, answer.status, answer.text]).toEqual([url, expect.toSatisfy((status) => status < 300), answer.text]);
    return answer.json;
  };
  const sample = await post('/physical_samples/', { name: 'Wäfer "7"\n\\N' });
  const project = await post('/projects/', { name: 'Projekt\t1' });
  const opened = { physical_sample_id: sample.id, project_id: project.id, points_per_chunk: 4, stream_name: 'Lauf' };
  const { data_id } = await post('/metrology/stream/initialize', opened);
  const chunk = (channel_name: string, chunk_index: number, values: (number | null)[], more: object = {}) =>
    post('/metrology/stream/chunk', {
      ...{ data_id, channel_name, chunk_index, values, units: 'nm' },
      timestamps: values.map((_, i) => 1_700_000_000 + 4 * chunk_index + i),
      ...more,
    });
  await chunk('as sent', 0, [Math.PI, -0, 5e-324, 1.7976931348623157e308]);
  await storeAsSent(server.owner);
  const wide = [0, 1, 300, 70_000, 2 ** 26, 2 ** 34, 2 ** 42].map((top) => [0, top, null, 1]);
  for (const [i, values] of wide.entries()) await chunk('widths', i, values);
  await chunk('even', 0, [1, 2, 3, 4]);
  await chunk('absent', 0, [null, null, null, null]);
  await chunk('as sent', 1, [1, 2, 3, 4], { timestamps: [1_700_000_004, null, Math.E, 7] });
  await chunk('replaced', 0, [1.5, 2.5, 3.5, null]);
  await chunk('replaced', 0, [9, 9, 9, 9]);
  await chunk('replaced', 0, [Math.SQRT2, 1, 1, 1], { units: 'µm' });
  await Promise.all(Array.from({ length: 65 }, (_, i) => chunk('long', i, [i, i / 10, null, -i])));
  await server.app.overviewsIdle();
  await server.owner.pool.query(
    `insert into tags (organization_id, user_id, name) select organization_id, user_id, 'Märker ' || name from users;
     insert into stream_tags (data_id, tag_id, organization_id)
       select data_id, tag_id, organization_id from streams join tags using (organization_id) on conflict do nothing;
     insert into growth_instruments (organization_id, user_id, source_name, synth_source_type)
       select organization_id, user_id, 'MBE', 'mbe' from users;
     insert into sessions (token_hash, organization_id, key_id, expires_at)
       select sha256('one'), organization_id, key_id, now() + interval '1 day' from api_keys limit 1;
     insert into sign_in_links (token_hash, organization_id, key_id, expires_at)
       select sha256('two'), organization_id, key_id, now() + interval '1 day' from api_keys limit 1`,
  );
  await post(`/metrology/stream/${data_id}/finalize`, undefined);
  return data_id;
}

/** A backup in memory. @param url of the database, as its owner */
export async function backedUp(
  url: string,
  limits: Partial<BackupLimits> = {},
  onByte?: (bytes: Buffer) => Promise<void>,
): Promise<Made & { file: Buffer }> {
  const database = openDatabase(loginOf(url), { poolMax: 1, onIdleError: () => {}, statementMsMax: 0 });
  const pieces: Buffer[] = [];
  try {
    const sink = async (bytes: Buffer) => {
      await onByte?.(bytes);
      pieces.push(Buffer.from(bytes));
    };
    const made = await backUp(database, sink, { limits });
    return { ...made, file: Buffer.concat(pieces) };
  } finally {
    await database.close();
  }
}

/** A file as it comes from somewhere, in pieces of an odd size. */
export async function* arriving(file: Buffer, pieceBytes = 1_009): AsyncGenerator<Buffer> {
  for (let at = 0; at < file.length; at += pieceBytes) yield file.subarray(at, at + pieceBytes);
}

/** Of each table how many rows it has and a hash of all of them as text: equal in two databases that hold the same. */
export async function contentOf(pool: ConnectionSource): Promise<Record<string, string>> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`,
  );
  const content: Record<string, string> = {};
  for (const { name } of tables) {
    const { rows } = await pool.query<{ row: string }>(`select t::text as row from ${name} t order by 1`);
    const hash = createHash('sha256').update(rows.map(({ row }) => row).join('\n'));
    content[name] = `${rows.length} rows, ${hash.digest('hex').slice(0, 16)}`;
  }
  return content;
}

export async function asOwner<Result>(url: string, work: (owner: OwnerDatabase) => Promise<Result>): Promise<Result> {
  const owner = openAsOwner(url, { onIdleError: () => {}, statementMsMax: 0 });
  return work(owner).finally(() => owner.close());
}
