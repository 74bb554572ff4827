import { decodeFloat8Array } from '../database/float8-array.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { timestampsOfChunk, valuesOfChunk } from '../database/stored-series.ts';
import { notFound } from '../errors.ts';

/** Who did something: the hint of the key and the name of its user. */
interface KeyNames {
  key_hint: string | null;
  user_name: string | null;
}

/** What a chunk held before it was replaced, without its arrays. Hashes are hexadecimal, times are ISO 8601. */
export interface Revision {
  channel_id: number;
  channel_name: string;
  chunk_index: number;
  /** 1 is the first content of the chunk. */
  revision: number;
  stored_at: string;
  stored_by: KeyNames;
  replaced_at: string;
  replaced_by: KeyNames;
  content_hash: string;
  replacing_hash: string;
  point_count: number;
  null_count: number;
  units: string | null;
}

/** The stored times in Unix seconds and the readings, in their stored order. NaN stands for NULL. */
export interface RevisionArrays {
  timestamps: Float64Array;
  values: Float64Array;
}

export interface RevisionFilter {
  channel_name?: readonly string[] | undefined;
  chunk_index?: number | undefined;
}

/** The position in the list after which the next page begins. */
export type RevisionPlace = Pick<Revision, 'channel_id' | 'chunk_index' | 'revision'>;

const columns = `
  r.channel_id, c.channel_name, r.chunk_index, r.revision, r.stored_at, r.key_id, r.replaced_at, r.replaced_by_key_id,
  encode(r.content_hash, 'hex') as content_hash,
  encode(r.replacing_hash, 'hex') as replacing_hash, r.point_count, r.null_count, r.units`;

/** The tables that `columns` are read from, for the stream $1; `revisions` is a table or a query, named `r`. */
const tables = (revisions: string) => `
  ${revisions} r
  join streams s on s.data_id = $1::uuid
  join channels c on c.data_id = $1::uuid and c.channel_id = r.channel_id`;

/** A revision as the node of its stream has it. In a cluster, keys and users are not there. */
type KeyedRevision = Omit<Revision, 'stored_by' | 'replaced_by'> & { key_id: number; replaced_by_key_id: number };

/** Replaces the ids of keys by their hints and the names of their users. */
async function nameKeys<Row extends KeyedRevision>(
  { organizationId, pool }: OrganizationDatabase,
  revisions: readonly Row[],
) {
  if (revisions.length === 0) return [];
  const { rows } = await pool.query<{ key_id: number } & KeyNames>({
    name: 'name_keys_of_revisions',
    text: `select k.key_id, k.key_hint, u.name as user_name from api_keys k join users u on u.user_id = k.user_id
           where k.organization_id = $1::uuid and k.key_id = any ($2::bigint[])`,
    values: [organizationId, [...new Set(revisions.flatMap((one) => [one.key_id, one.replaced_by_key_id]))]],
  });
  const names = new Map(rows.map(({ key_id, ...named }) => [key_id, named]));
  const namesOf = (keyId: number) => names.get(keyId) ?? { key_hint: null, user_name: null };
  return revisions.map(({ key_id, replaced_by_key_id, ...more }) => ({
    ...more,
    stored_by: namesOf(key_id),
    replaced_by: namesOf(replaced_by_key_id),
  }));
}

/**
 * The next revisions of a stream after a position, at most `countMax`; fewer mean that they are the last. Ordered by
 * channel (in the order of their first use), then chunk, then revision.
 */
export async function listRevisions(
  organization: OrganizationDatabase,
  dataId: string,
  { channel_name, chunk_index }: RevisionFilter,
  after: RevisionPlace | undefined,
  countMax: number,
): Promise<Revision[]> {
  const { organizationId, pool } = organization;
  const { rows } = await pool.query<KeyedRevision>({
    name: 'list_revisions',
    // The page is cut by the primary key before anything is joined to it, whatever the planner estimates.
    text: `with page as materialized (
             select data_id, channel_id, chunk_index, revision, stored_at, key_id, replaced_at, replaced_by_key_id,
                    content_hash, replacing_hash, point_count, null_count, units
             from chunk_revisions
             where data_id = $1::uuid and exists (
                 select from streams where streams.data_id = $1::uuid and streams.organization_id = $2::uuid)
               and ($3::text[] is null or channel_id in (
                 select channel_id from channels where data_id = $1::uuid and channel_name = any ($3::text[])))
               and ($4::bigint is null or chunk_index = $4::bigint)
               and (channel_id, chunk_index, revision) > ($5::bigint, $6::bigint, $7::integer)
             order by channel_id, chunk_index, revision limit $8::integer
           )
           select ${columns} from ${tables('page')} order by r.channel_id, r.chunk_index, r.revision`,
    values: [
      ...[dataId, organizationId, channel_name ?? null, chunk_index ?? null],
      ...[after?.channel_id ?? 0, after?.chunk_index ?? 0, after?.revision ?? 0, countMax],
    ],
  });
  return nameKeys(organization, rows);
}

/**
 * The caller must have checked that the stream belongs to the organization.
 * @throws ApiError 404 for a revision that is not stored
 */
export async function findRevision(
  organization: OrganizationDatabase,
  dataId: string,
  place: { channel_name: string; chunk_index: number; revision: number },
): Promise<Revision & RevisionArrays> {
  const { organizationId, pool } = organization;
  const { rows } = await pool.query<KeyedRevision & { timestamps: Buffer; values: Buffer }>({
    name: 'find_revision',
    text: `select ${columns}, array_send(${timestampsOfChunk('r')}) as timestamps,
                  array_send(${valuesOfChunk('r')}) as values
           from ${tables('chunk_revisions')}
           where r.data_id = $1::uuid and s.organization_id = $2::uuid and c.channel_name = $3::text
             and r.chunk_index = $4::bigint and r.revision = $5::bigint`,
    values: [dataId, organizationId, place.channel_name, place.chunk_index, place.revision],
  });
  const [found] = await nameKeys(organization, rows);
  if (found === undefined) throw notFound('revision');
  return { ...found, timestamps: decodeFloat8Array(found.timestamps), values: decodeFloat8Array(found.values) };
}
