import type pg from 'pg';
import { actorColumns, actorOf, auditInsert } from '../database/audit.ts';
import type { IngestItem, KnownRow } from './ingest-rows.ts';

/**
 * Records in the audit log who replaced or restored chunks. One key has at most one entry for a stream in a minute; it
 * names the first chunk. So many replacements do not make many entries. What each chunk held, and who replaced it, is
 * in its revisions.
 */
export async function auditReplacements(client: pg.PoolClient, rows: readonly KnownRow[]): Promise<void> {
  const first = new Map<string, KnownRow>();
  for (const row of rows) {
    const name = `${row.item.dataId} ${row.item.keyId} ${row.item.isRestoring}`;
    if (!first.has(name)) first.set(name, row);
  }
  // Sorted, so that two flushes which write entries of the same streams do so in the same order.
  const entries = [...first].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, row]) => entryOf(row));
  await client.query({ name: 'audit_replacements', text: replacementsSql, values: [JSON.stringify(entries)] });
}

function entryOf({ item, channelName }: KnownRow) {
  return {
    ...actorOf({ kind: 'key', keyId: item.keyId, ...item.originOf?.() }),
    action: actionOf(item),
    organization_id: item.organizationId,
    data_id: item.dataId,
    details: { first_channel_name: channelName, first_chunk_index: item.chunkIndex },
    once: '',
  };
}

const actionOf = ({ isRestoring }: IngestItem) => (isRestoring ? 'chunk.restore' : 'chunk.replace');

const replacementsSql = auditInsert(`
  select * from jsonb_to_recordset($1::jsonb) as by (
    ${actorColumns}, action text, organization_id uuid, data_id uuid, of_key_id bigint, details jsonb, once text)`);
