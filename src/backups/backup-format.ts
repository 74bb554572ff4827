/**
 * The format of a backup file. It is a tar file with these entries: `manifest.json`, which describes the database; for
 * each table its rows as PostgreSQL's binary COPY, in gzip-compressed pieces; `contents.json`, which says how much
 * there must be; and the SHA-256 of everything before it (docs/backup.md#the-file).
 */
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { packageVersion } from '../lib/package-info.ts';

export const formatName = 'metrology-server backup';
export const formatVersion = 1;

const BackupManifest = Type.Object({
  format: Type.Literal(formatName),
  formatVersion: Type.Integer(),
  /** The moment of the snapshot: ISO 8601. */
  takenAt: Type.String(),
  release: Type.String(),
  commit: Type.String(),
  postgres: Type.String(),
  /** The migrations that had run. */
  migrations: Type.Array(Type.Object({ name: Type.String(), checksum: Type.Union([Type.String(), Type.Null()]) })),
  /** In this order a row comes after those that it refers to. */
  tables: Type.Array(
    Type.Object({
      name: Type.String({ pattern: '^[a-z0-9_]{1,63}$' }),
      columns: Type.Array(Type.Object({ name: Type.String(), type: Type.String() })),
    }),
  ),
  /** The last number of each sequence; null if it was never used. */
  sequences: Type.Array(
    Type.Object({ table: Type.String(), column: Type.String(), last: Type.Union([Type.Integer(), Type.Null()]) }),
  ),
  /** Tables that do not belong to the server, and that are not in the backup. */
  leftOut: Type.Array(Type.String()),
});
export type BackupManifest = Static<typeof BackupManifest>;

const Contents = Type.Object({
  tables: Type.Array(
    Type.Object({
      name: Type.String(),
      rows: Type.Integer({ minimum: 0 }),
      /** Size of the COPY output of PostgreSQL. */
      bytes: Type.Integer({ minimum: 0 }),
      pieces: Type.Integer({ minimum: 1 }),
      sha256: Type.String(),
    }),
  ),
});
export type Contents = Static<typeof Contents>;
export type TableContents = Contents['tables'][number];

export const backupManifestName = 'manifest.json';
export const backupContentsName = 'contents.json';
export const digestName = 'SHA256';
/** @param number from 1 */
export const pieceName = (table: string, number: number) => `${table}/${String(number).padStart(8, '0')}.copy.gz`;

export const jsonBody = (value: unknown) => Buffer.from(`${JSON.stringify(value, null, 1)}\n`);
export const digestBody = (digest: Buffer) => Buffer.from(`${digest.toString('hex')}\n`);

/** A file that is not a backup, or is damaged, in a sentence. */
export class BackupProblem extends Error {}

/** @throws BackupProblem where it is not a manifest, or has a format that only a newer release knows */
export function readManifest(body: Buffer): BackupManifest {
  const found = parsed(body) as { format?: unknown; formatVersion?: unknown; release?: unknown } | undefined;
  if (found?.format !== formatName) throw noBackup();
  if (Number(found.formatVersion) > formatVersion) {
    throw new BackupProblem(
      `The backup was made by release ${found.release} in format ${found.formatVersion}, and this is release ${packageVersion}, ` +
        `which knows formats up to ${formatVersion}: use a release from ${found.release} on.`,
    );
  }
  if (!Value.Check(BackupManifest, found)) throw damaged('its manifest is not valid');
  return found;
}

/** @throws BackupProblem */
export function parseBackupContents(body: Buffer): Contents {
  const found = parsed(body);
  if (!Value.Check(Contents, found)) throw damaged('its list of contents is not valid');
  return found;
}

export const noBackup = () => new BackupProblem(`This is no ${formatName}.`);
export const damaged = (what: string) => new BackupProblem(`The backup is damaged or cut: ${what}. Use another one.`);

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
