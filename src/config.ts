import { resolve } from 'node:path';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { contract } from './contract.ts';
import { AddressError, completeAddress } from './lib/postgres-address.ts';

const integer = (fallback: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: fallback, minimum, maximum, description });

const originPattern = '(https?://([a-z0-9.-]+|\\[[0-9a-f:]+\\])(:\\d{1,5})?)';

const proxyPattern = '(loopback|linklocal|uniquelocal|[0-9A-Fa-f.:]{2,45}(/\\d{1,3})?)';

/** The environment: names, kinds, defaults and bounds. `metrology-server --help` and the table of docs/settings.md show the same. */
export const ConfigSchema = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', minLength: 1, description: 'address to listen on' }),
  PORT: integer(8000, 0, 65_535, 'port to listen on; 0 picks a free one'),
  DATABASE_URL: Type.Optional(
    Type.String({
      description: 'PostgreSQL 15 to 18, postgresql://user:password@host:port/name; unset, the embedded one is used',
    }),
  ),
  MIGRATION_DATABASE_URL: Type.Optional(
    Type.String({
      description: 'the same database as the role that owns the tables; unset, DATABASE_URL owns them',
    }),
  ),
  READ_DATABASE_URL: Type.Optional(
    Type.String({
      description:
        'a streaming replica of DATABASE_URL that reads may go to, or a balancer before several; unset, the primary answers all',
    }),
  ),
  DATA_DIR: Type.String({
    default: './data',
    minLength: 1,
    description: 'folder of the embedded database and the key',
  }),
  DATABASE_DISK_DIR: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'a folder on the disk of the database, to see the room there; unset, that of the embedded one alone is seen',
    }),
  ),
  DISK_WARN_BYTES: integer(
    5 * 1024 ** 3,
    0,
    1024 ** 5,
    'below so much room on the disk of the database the log and /readyz say so; 0 says nothing',
  ),
  DISK_REFUSE_BYTES: integer(
    1024 ** 3,
    0,
    1024 ** 5,
    'below so much room on the disk of the database no new stream is opened, and those that are open go on; 0 opens all',
  ),
  EMBEDDED_POSTGRES_DIR: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'folder above the bin of a PostgreSQL 17 or 18 to run as the embedded one, such as /usr/lib/postgresql/18; unset, the one that comes as a package',
    }),
  ),
  DATABASE_POOL_MAX: integer(
    20,
    2,
    1_000,
    'database connections for what requests read and edit, of all workers together',
  ),
  WORKERS: integer(1, 1, 64, 'processes that serve requests, on one port'),
  BOOTSTRAP_API_KEY: Type.Optional(
    Type.String({
      pattern: `^[\\x21-\\x7e]{${contract.keyLengthMin},${contract.keyLengthMax}}$`,
      description: `key that must exist for the default organization, ${contract.keyLengthMin} to ${contract.keyLengthMax} ASCII characters without spaces`,
    }),
  ),
  PROVISIONING_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'file (YAML or JSON) of organizations, users, keys and projects that a start makes; unset, none is read',
    }),
  ),
  FINALIZE_GRACE_SECONDS: integer(120, 0, 31_536_000, 'how long after finalize late chunks are still accepted'),
  REVISIONS_KEEP_DAYS: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 36_500,
      description: 'how long what a chunk held before it was replaced is kept, in days; unset, for ever',
    }),
  ),
  RETENTION_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'file of the rules (YAML or JSON) by which old runs are archived and removed; unset, none are',
    }),
  ),
  RETENTION_DIR: Type.Optional(Type.String({ minLength: 1, description: 'folder of archived runs' })),
  RETENTION_EVERY: Type.Optional(
    Type.String({
      pattern: '^[1-9][0-9]{0,3}[hdw]$',
      description:
        'how often the server archives and removes what is old by RETENTION_FILE, into RETENTION_DIR, such as 24h; unset, never',
    }),
  ),
  STREAM_IDLE_SECONDS: integer(
    3_600,
    1,
    31_536_000,
    'how long a stream may be silent before it shows as interrupted or, without any data, is hidden from search',
  ),
  BODY_LIMIT_BYTES: integer(32 * 1024 * 1024, 1_024, 512_000_000, 'largest request body'),
  BODIES_LIMIT_BYTES: integer(
    128 * 1024 * 1024,
    1_024,
    1024 ** 4,
    'bytes of request bodies in memory of each worker at one time, of those up to 64 KiB and of larger ones each; more wait',
  ),
  EXPORT_CACHE_BYTES: integer(
    1024 ** 3,
    0,
    1024 ** 5,
    'bytes of exports that are kept as files, of streams that do not change any more; 0 keeps none',
  ),
  EXPORT_CACHE_DIR: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'folder of kept exports; unset, one under the temporary folder of the system',
    }),
  ),
  BACKUP_DIR: Type.Optional(
    Type.String({ minLength: 1, description: 'folder into which the server makes backups; unset, it makes none' }),
  ),
  BACKUP_EVERY_HOURS: integer(24, 1, 8_760, 'time from one backup in BACKUP_DIR to the next, in hours'),
  BACKUP_KEEP: integer(7, 1, 10_000, 'backups that stay in BACKUP_DIR; older ones are removed'),
  PUBLIC_URL: Type.Optional(
    Type.String({
      pattern: '^https?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?(/[^?#\\s]*)?$',
      description: 'address under which clients reach the server, for links; unset, it is taken from the request',
    }),
  ),
  SESSION_HOURS: integer(168, 1, 8_760, 'how long somebody who has signed in to the page stays signed in'),
  LOG_LEVEL: Type.Union(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level) => Type.Literal(level)),
    { default: 'info', description: 'fatal, error, warn, info, debug, trace or silent' },
  ),
  LOG_FORMAT: Type.Union(
    ['auto', 'json', 'text'].map((format) => Type.Literal(format)),
    { default: 'auto', description: 'json lines, text for people, or auto: text on a terminal and json elsewhere' },
  ),
  ACCESS_LOG: Type.Union(
    ['off', 'usual', 'all'].map((which) => Type.Literal(which)),
    {
      default: 'usual',
      description:
        'which answered requests are logged: usual leaves out stored chunks and what needs no key; refused ones always are',
    },
  ),
  TRUSTED_PROXIES: Type.Optional(
    Type.String({
      pattern: `^${proxyPattern}( *, *${proxyPattern})*$`,
      description:
        'proxies whose X-Forwarded-For says who a client is, in logs: addresses, networks such as 10.0.0.0/8, or loopback; unset, none',
    }),
  ),
  AUDIT_KEEP_DAYS: Type.Optional(
    Type.Integer({
      minimum: 30,
      maximum: 36_500,
      description: 'how long entries of the audit log are kept, in days; unset, for ever',
    }),
  ),
  METRICS_OPEN: Type.Boolean({
    default: false,
    description:
      'answer GET /metrics without a key to requests that come straight from this machine; not beside a proxy that passes TCP on',
  }),
  CORS_ORIGINS: Type.Optional(
    Type.String({
      pattern: `^${originPattern}( *, *${originPattern})*$`,
      description: 'origins whose pages may use the API in a browser, https://host:port, with commas; unset, none',
    }),
  ),
  REFERENCE_CLOCK: Type.Boolean({
    default: false,
    description: "answer GET /gateway/time, so that the SDK shifts timestamps onto this server's clock",
  }),
});
export type Config = Static<typeof ConfigSchema>;

/** Every wrong setting, one sentence each. */
export class ConfigError extends Error {
  readonly problems: string[];
  constructor(problems: string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/**
 * Reads the configuration from an environment.
 * An empty value counts as unset.
 * @throws ConfigError that names every wrong variable, not only the first.
 */
export function readConfig(environment: Record<string, string | undefined>): Config {
  const candidate: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [name, schema] of Object.entries(ConfigSchema.properties)) {
    const text = environment[name]?.trim();
    const value = text ? parse(text, schema.type) : schema.default;
    if (value === undefined) continue;
    candidate[name] = value;
    if (!Value.Check(schema, value)) problems.push(describe(name, schema, text ?? String(value)));
    else if (name.endsWith('DATABASE_URL')) {
      try {
        candidate[name] = completeAddress(String(value), environment);
      } catch (error) {
        if (!(error instanceof AddressError)) throw error;
        problems.push(describe(name, schema, '', error.reason));
      }
    }
  }
  if (candidate.READ_DATABASE_URL !== undefined && candidate.DATABASE_URL === undefined) {
    problems.push(
      'READ_DATABASE_URL: it names a replica, and only a database of DATABASE_URL has one. Set both, or none.',
    );
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const config = candidate as Config;
  return { ...config, DATA_DIR: resolve(config.DATA_DIR) };
}

function parse(text: string, type: string | undefined): unknown {
  if (type === 'integer') return /^-?\d+$/.test(text) ? Number(text) : text;
  if (type === 'boolean') return ({ true: true, false: false } as Record<string, boolean>)[text.toLowerCase()] ?? text;
  return text;
}

/** Never shows the value of a variable that may hold a secret. */
function describe(
  name: string,
  schema: { minimum?: number; maximum?: number; description?: string },
  text: string,
  reason?: string,
) {
  const shown = /KEY|URL/.test(name) ? 'its value' : `"${text}"`;
  const range = schema.minimum === undefined ? '' : ` (a whole number from ${schema.minimum} to ${schema.maximum})`;
  const why = reason === undefined ? '' : ` (${reason})`;
  return `${name}: ${shown} is not valid${why}. ${name} is: ${schema.description}${range}.`;
}
