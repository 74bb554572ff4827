import type pg from 'pg';
import { actorColumns, actorOf, auditInsert } from '../database/audit.ts';
import type { IngestItem, PlacedRow } from './ingest-rows.ts';

/**
 * Writes into the audit log who has replaced or put back chunks: an entry for a key, a stream and a minute, which names the first of
 * them. What each of them held, and who replaced it, is in its revisions; a flood of replacements makes no flood of entries.
 */
export async function auditReplacements(client: pg.PoolClient, rows: readonly PlacedRow[]): Promise<void> {
  const first = new Map<string, PlacedRow>();
  for (const row of rows) {
    const name = `${row.item.dataId} ${row.item.keyId} ${row.item.isRestoring}`;
    if (!first.has(name)) first.set(name, row);
  }
  // Two flushes that write entries of the same streams do so in one order.
  const deeds = [...first].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, row]) => deedOf(row));
  await client.query({ name: 'audit_replacements', text: replacementsSql, values: [JSON.stringify(deeds)] });
}

function deedOf({ item, channelName }: PlacedRow) {
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
