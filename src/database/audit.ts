/**
 * Entries of the audit log, as parts of statements: an entry is written in the transaction of the change that it
 * describes, or not at all (docs/decisions/0049-who-did-what.md). The server may add entries and read them; no role of
 * it changes or removes one.
 */

/** The actions that the log knows. */
export const auditActions = [
  'key.create',
  'key.import',
  'key.rotate',
  'key.revoke',
  'key.link',
  'key.change',
  'session.begin',
  'session.end',
  'session.refuse',
  'stream.delete',
  'stream.restore',
  'stream.remove',
  'stream.removed',
  'stream.archive',
  'stream.unarchive',
  'chunk.replace',
  'chunk.restore',
  'export',
  'sql_reader.create',
  'sql_reader.drop',
  'organization.create',
  'organization.rename',
  'user.create',
  'user.rename',
] as const;
export type AuditAction = (typeof auditActions)[number];

/** The request that caused something. */
export interface Origin {
  requestId?: string | undefined;
  address?: string | undefined;
}

/**
 * Who does something: the owner of a key, the operator by a command, the server by itself, or a client without a known
 * key.
 */
export interface Actor extends Origin {
  kind: 'key' | 'operator' | 'server' | 'stranger';
  keyId?: number | undefined;
  /** For a key that is refused: the part of it that may be shown. */
  keyHint?: string | undefined;
  /** For the operator: the account of the system. */
  userName?: string | undefined;
}

export const theServer: Actor = { kind: 'server' };

/** What has been done, in SQL: expressions over the rows of `from`. Each row becomes an entry. */
export interface Deeds {
  /** What follows `from` in the statement. */
  from: string;
  organizationId: string;
  dataId?: string;
  ofKeyId?: string;
  /** A jsonb of less than 8,000 characters. Fields that are null are left out. */
  details: string;
  /** A text. For the same text, actor, action and stream, at most one entry is written in a minute. */
  once?: string;
  /** The key of the actor, where only the statement knows it. */
  keyId?: string;
}

/** The period, in seconds, in which one entry is written for what has a `once`. */
const onceSeconds = 60;

/**
 * An insert that writes an entry for each deed. It belongs into the `with` of the statement that does the deeds.
 * @param actor the parameter whose value is an `actorParameter`, such as `$3`
 */
export function auditEntries(action: AuditAction, deeds: Deeds, actor: string): string {
  const { from, organizationId, dataId = 'null', ofKeyId = 'null', details, once = 'null', keyId = 'null' } = deeds;
  return auditInsert(`
    select by.actor, coalesce(by.key_id, ${keyId}::bigint) as key_id, by.key_hint, by.user_name, by.request_id, by.address,
           '${action}' as action, ${organizationId} as organization_id, ${dataId}::uuid as data_id,
           ${ofKeyId}::bigint as of_key_id, ${details} as details, ${once}::text as once
    from jsonb_to_record(${actor}::jsonb) as by (${actorColumns}) cross join ${from}`);
}

/** The columns of an actor, as `actorOf` writes them. */
export const actorColumns = 'actor text, key_id bigint, key_hint text, user_name text, request_id text, address text';

/** @param deeds a query of `actorColumns` and action, organization_id, data_id, of_key_id, details and once */
export function auditInsert(deeds: string): string {
  return `
    insert into audit_log (entry_id, happened_at, organization_id, action, actor, key_id, key_hint, user_name, data_id, of_key_id,
                           request_id, address, details, once)
    select gen_random_uuid(), clock_timestamp(), deed.organization_id, deed.action, deed.actor, deed.key_id,
           left(coalesce(deed.key_hint, own.key_hint), 100), coalesce(deed.user_name, own.name), deed.data_id, deed.of_key_id,
           deed.request_id, deed.address, jsonb_strip_nulls(deed.details),
           case when deed.once is not null then
             concat_ws(' ', deed.action, coalesce(deed.key_id::text, deed.user_name, deed.actor), deed.once,
                       floor(extract(epoch from clock_timestamp()) / ${onceSeconds})) end
    from (${deeds}) as deed
    left join lateral (
      select key.key_hint, person.name from api_keys key
      join users person on person.user_id = key.user_id and person.organization_id = key.organization_id
      where key.key_id = deed.key_id
    ) as own on true
    on conflict do nothing`;
}

/** An actor as columns. */
export const actorOf = ({ kind, keyId, keyHint, userName, requestId, address }: Actor) => ({
  actor: kind,
  key_id: keyId,
  key_hint: keyHint,
  user_name: userName,
  request_id: requestId,
  address,
});

/** An actor as the parameter of a statement. */
export const actorParameter = (actor: Actor): string => JSON.stringify(actorOf(actor));
