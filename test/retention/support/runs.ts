import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { applyRetention, type RetentionOptions } from '../../../src/retention/apply-rules.ts';
import { retentionLimits } from '../../../src/retention/limits.ts';
import { parseRules } from '../../../src/retention/rules.ts';
import type { TestServer } from '../../support/test-server.ts';

export const rulesOf = (text: string) => parseRules(text, 'rules.yaml', retentionLimits);
export const everything = rulesOf('retention: [{organization: lab, older_than: 30d}]');

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'metrology-archive-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const apply = (server: TestServer, folder: string, options: Partial<RetentionOptions> = {}) =>
  applyRetention(server.database, everything, { folder, now: Date.now, ...options });

/** Opens a run and sends it chunks of two channels, with gaps, absent readings and values that are hard to write. */
export async function makeRun(server: TestServer, name: string, more: object = {}): Promise<string> {
  const { json } = await server.post('/metrology/stream/initialize', {
    stream_name: name,
    points_per_chunk: 3,
    ...more,
  });
  await send(server, json.data_id, 0, 'thickness', [1.7e9, 1.7e9 + 0.1, null], [-0, 5e-324, null], 'nm');
  await send(
    server,
    json.data_id,
    2,
    'thickness',
    [1.7e9 + 9, 1.7e9 + 8, 1.7e9 + 9.000001],
    [0.1 + 0.2, 1.7976931348623157e308, 3],
    'Å',
  );
  await send(server, json.data_id, 1, 'émission "b"', [1.7e9, 1.7e9 + 1, 1.7e9 + 2], [20.25, 20.5, 20.75]);
  return json.data_id;
}

export function send(
  server: TestServer,
  dataId: string,
  index: number,
  channel: string,
  timestamps: (number | null)[],
  values: (number | null)[],
  units?: string,
) {
  const body = {
    data_id: dataId,
    chunk_index: index,
    channel_name: channel,
    timestamps,
    values,
    ...(units && { units }),
  };
  return server.post('/metrology/stream/chunk', body);
}

/** The run has been as it is for a year. */
export async function makeOld(server: TestServer, ...dataIds: string[]): Promise<void> {
  // A time without a zone, since a cluster takes no update that computes with one of a zone.
  const yearBefore = (column: string) =>
    `${column} = (${column} at time zone 'UTC' - interval '1 year') at time zone 'UTC'`;
  await server.owner.pool.query(
    `update streams set ${['created_at', 'changed_at', 'finalized_at'].map(yearBefore)} where data_id = any($1::uuid[])`,
    [dataIds],
  );
  await server.owner.pool.query(
    `update channels set ${['created_at', 'changed_at'].map(yearBefore)} where data_id = any($1::uuid[])`,
    [dataIds],
  );
  await server.owner.pool.query(
    `update chunks set ${['stored_at', 'changed_at'].map(yearBefore)} where data_id = any($1::uuid[])`,
    [dataIds],
  );
}

/** Everything that the API tells of a run, but for when it was asked and when its entry was touched. */
export async function told(server: TestServer, dataId: string): Promise<Record<string, unknown>> {
  const paths = {
    certificate: `/metrology/stream/${dataId}/certificate`,
    ledger: `/metrology/stream/${dataId}/chunks?content_hashes=true&marks=true`,
    revisions: `/metrology/stream/${dataId}/chunks/revisions`,
    csv: `/exports/${dataId}/?format=csv`,
    metadata: `/exports/${dataId}/metadata/`,
    rows: `/metrology/${dataId}/timeseries/`,
  };
  const answers: Record<string, unknown> = {};
  for (const [name, path] of Object.entries(paths)) {
    const { status, text } = await server.get(path);
    answers[name] = [status, text.replace(/"(certified_at|read_at|exported_at|as_of)":"[^"]*"/g, '')];
  }
  return answers;
}

/** Tables that still have rows of a run. */
export async function remains(server: TestServer, dataId: string): Promise<string[]> {
  const tables = [
    'streams',
    'processed_data_entries',
    'stream_tags',
    'channels',
    'chunks',
    'chunk_revisions',
    'overviews',
  ];
  const found: string[] = [];
  for (const table of tables) {
    const { rowCount } = await server.owner.pool.query(`select from ${table} where data_id = $1::uuid limit 1`, [
      dataId,
    ]);
    if (rowCount !== 0) found.push(table);
  }
  return found;
}
