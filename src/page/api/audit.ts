import type { AuditState } from '../url-state.ts';
import { base, callApi, queryOf } from './client.ts';

export interface AuditEntry {
  entry_id: string;
  happened_at: string;
  action: string;
  actor: 'key' | 'operator' | 'server' | 'stranger';
  key_id: number | null;
  key_hint: string | null;
  user_name: string | null;
  data_id: string | null;
  of_key_id: number | null;
  request_id: string | null;
  address: string | null;
  details: Record<string, unknown>;
}

export interface AuditPage {
  entries: AuditEntry[];
  next_cursor: string | null;
}

/** The actions that can be filtered by, as the server names them. */
export const auditActions = [
  ...['key.create', 'key.import', 'key.rotate', 'key.revoke', 'key.link', 'key.change'],
  ...['session.begin', 'session.end', 'session.refuse'],
  ...[
    'stream.delete',
    'stream.restore',
    'stream.remove',
    'stream.removed',
    'stream.archive',
    'stream.unarchive',
    'chunk.replace',
    'chunk.restore',
  ],
  ...['export', 'sql_reader.create', 'sql_reader.drop'],
  ...['organization.create', 'organization.rename', 'user.create', 'user.rename'],
];

const fieldsOf = ({ action, stream, key }: AuditState) => ({ action, data_id: stream, key_id: key });

/** @throws ApiFailure 403 without the scope `admin` */
export function readAudit(state: AuditState, cursor?: string, signal?: AbortSignal): Promise<AuditPage> {
  return callApi<AuditPage>(`audit/?${queryOf({ ...fieldsOf(state), cursor })}`, { signal });
}

/** The address of a CSV file with all entries that pass the filters. */
export const auditFile = (state: AuditState) => `${base}audit/?${queryOf({ ...fieldsOf(state), format: 'csv' })}`;
