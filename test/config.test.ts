import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError, ConfigSchema, readConfig } from '../src/config.ts';

const defaults = {
  HOST: '127.0.0.1',
  PORT: 8000,
  DATA_DIR: resolve('./data'),
  DISK_WARN_BYTES: 5_368_709_120,
  DISK_REFUSE_BYTES: 1_073_741_824,
  DATABASE_POOL_MAX: 20,
  WORKERS: 1,
  FINALIZE_GRACE_SECONDS: 120,
  STREAM_IDLE_SECONDS: 3_600,
  BODY_LIMIT_BYTES: 33_554_432,
  BODIES_LIMIT_BYTES: 134_217_728,
  EXPORT_CACHE_BYTES: 1_073_741_824,
  BACKUP_EVERY_HOURS: 24,
  BACKUP_KEEP: 7,
  LOG_LEVEL: 'info',
  LOG_FORMAT: 'auto',
  ACCESS_LOG: 'usual',
  REFERENCE_CLOCK: false,
  SESSION_HOURS: 168,
  METRICS_OPEN: false,
};

/** What a setting cannot be without. */
const needed: Record<string, Record<string, string>> = {
  READ_DATABASE_URL: { DATABASE_URL: 'postgresql://app:p@h/d' },
};

/** Per setting: texts that are taken, with what they become, and texts that are refused. */
const cases: Record<string, { taken: [string, unknown][]; refused: string[] }> = {
  HOST: { taken: [['0.0.0.0', '0.0.0.0']], refused: [] },
  PORT: {
    taken: [
      ['0', 0],
      ['65535', 65_535],
      [' 8080 ', 8080],
    ],
    refused: ['-1', '65536', '80.5', 'http', '0x10', '1e3'],
  },
  DATABASE_URL: {
    taken: [
      ['postgres://u:p@h:5432/d', 'postgres://u:p@h:5432/d'],
      ['postgresql:///d?host=/run', 'postgresql:///d?host=/run'],
    ],
    refused: ['mysql://u:hunter2@h/d', 'localhost', 'postgresql://u:hunter2@h:notaport/d'],
  },
  MIGRATION_DATABASE_URL: {
    taken: [['postgresql://owner:p@h/d', 'postgresql://owner:p@h/d']],
    refused: ['h/d', 'postgresql://owner:hunter2@h:notaport/d'],
  },
  READ_DATABASE_URL: {
    taken: [['postgresql://app:p@standby/d', 'postgresql://app:p@standby/d']],
    refused: ['h/d', 'postgresql://app:hunter2@h:notaport/d'],
  },
  DATA_DIR: { taken: [['sub/folder', resolve('sub/folder')]], refused: [] },
  DATABASE_DISK_DIR: { taken: [['/var/lib/postgresql', '/var/lib/postgresql']], refused: [] },
  DISK_WARN_BYTES: { taken: [['0', 0]], refused: ['-1', '5GB', '1125899906842625'] },
  DISK_REFUSE_BYTES: { taken: [['0', 0]], refused: ['-1', '10%', '1125899906842625'] },
  EMBEDDED_POSTGRES_DIR: { taken: [['/usr/lib/postgresql/18', '/usr/lib/postgresql/18']], refused: [] },
  DATABASE_POOL_MAX: { taken: [['2', 2]], refused: ['1', '1001', 'many'] },
  BOOTSTRAP_API_KEY: {
    taken: [['k'.repeat(16), 'k'.repeat(16)]],
    refused: ['short', `white space ${'x'.repeat(20)}`, 'ü'.repeat(20), 'k'.repeat(513)],
  },
  PROVISIONING_FILE: { taken: [['/etc/metrology/lab.yaml', '/etc/metrology/lab.yaml']], refused: [] },
  FINALIZE_GRACE_SECONDS: { taken: [['0', 0]], refused: ['-1', '1.5', '31536001'] },
  REVISIONS_KEEP_DAYS: { taken: [['0', 0]], refused: ['-1', '36501', '1.5', 'ever'] },
  RETENTION_FILE: { taken: [['/etc/metrology/retention.yaml', '/etc/metrology/retention.yaml']], refused: [] },
  RETENTION_DIR: { taken: [['/archive', '/archive']], refused: [] },
  RETENTION_EVERY: { taken: [['24h', '24h']], refused: ['24', '0h', '10m', 'daily'] },
  SESSION_HOURS: { taken: [['1', 1]], refused: ['0', '8761', 'ever'] },
  STREAM_IDLE_SECONDS: { taken: [['1', 1]], refused: ['0', '1.5', '31536001'] },
  BODY_LIMIT_BYTES: { taken: [['1024', 1024]], refused: ['1023', '512000001', '32MiB'] },
  BODIES_LIMIT_BYTES: { taken: [['1024', 1024]], refused: ['1023', 'all'] },
  EXPORT_CACHE_BYTES: { taken: [['0', 0]], refused: ['-1', '1GB'] },
  EXPORT_CACHE_DIR: { taken: [['/var/cache/exports', '/var/cache/exports']], refused: [] },
  BACKUP_DIR: { taken: [['/backups', '/backups']], refused: [] },
  BACKUP_EVERY_HOURS: { taken: [['1', 1]], refused: ['0', '8761', '0.5', 'daily'] },
  BACKUP_KEEP: { taken: [['1', 1]], refused: ['0', '10001', 'all'] },
  WORKERS: { taken: [['64', 64]], refused: ['0', '65', 'all'] },
  PUBLIC_URL: {
    taken: [
      ['https://lab.example:8443/metrology/', 'https://lab.example:8443/metrology/'],
      ['http://[::1]:8000', 'http://[::1]:8000'],
    ],
    refused: ['lab.example', 'ftp://lab.example', 'https://', 'https://h:port', 'https://h?a=b', 'https://user@h'],
  },
  LOG_FORMAT: { taken: [['text', 'text']], refused: ['pretty', 'JSON'] },
  ACCESS_LOG: { taken: [['all', 'all']], refused: ['on', 'true'] },
  TRUSTED_PROXIES: {
    taken: [
      ['10.0.0.0/8, ::1', '10.0.0.0/8, ::1'],
      ['loopback', 'loopback'],
    ],
    refused: ['proxy.example', '10.0.0.0/8 ::1', 'all', '10.0.0.0/1234'],
  },
  AUDIT_KEEP_DAYS: { taken: [['30', 30]], refused: ['29', '36501', 'ever'] },
  LOG_LEVEL: { taken: [['silent', 'silent']], refused: ['loud', 'INFO'] },
  CORS_ORIGINS: {
    taken: [
      ['https://lab.example', 'https://lab.example'],
      ['http://localhost:5173, https://[::1]:8443', 'http://localhost:5173, https://[::1]:8443'],
    ],
    refused: [
      '*',
      'null',
      'lab.example',
      'https://lab.example/',
      'https://*.example',
      'https://a https://b',
      'https://h:port',
    ],
  },
  REFERENCE_CLOCK: {
    taken: [
      ['true', true],
      ['FALSE', false],
    ],
    refused: ['yes', '1'],
  },
  METRICS_OPEN: {
    taken: [
      ['true', true],
      ['False', false],
    ],
    refused: ['loopback', '0'],
  },
};

describe('readConfig', () => {
  test('knows exactly the settings that are tested here', () => {
    expect(Object.keys(cases).sort()).toEqual(Object.keys(ConfigSchema.properties).sort());
  });

  test('has the documented defaults, for unset and for empty values', () => {
    expect(readConfig({})).toEqual(defaults);
    expect(readConfig(Object.fromEntries(Object.keys(cases).map((name) => [name, ''])))).toEqual(defaults);
    expect(readConfig({ PORT: '  ', UNRELATED: 'x' })).toEqual(defaults);
  });

  for (const [name, { taken, refused }] of Object.entries(cases)) {
    test(`${name}: takes what is valid and names itself for what is not`, () => {
      for (const [text, value] of taken)
        expect(readConfig({ ...needed[name], [name]: text })).toMatchObject({ [name]: value });
      for (const text of refused) {
        const problems = problemsOf({ ...needed[name], [name]: text });
        expect(problems, text).toHaveLength(1);
        expect(problems[0]).toMatch(new RegExp(`^${name}: .*not valid`));
        const { minimum, maximum } = ConfigSchema.properties[name as 'PORT'];
        if (minimum !== undefined) expect(problems[0]).toContain(`a whole number from ${minimum} to ${maximum}`);
      }
    });
  }

  test('a replica needs the database that it is one of', () => {
    const problems = problemsOf({ READ_DATABASE_URL: 'postgresql://app:hunter2@standby/d' });
    expect(problems).toEqual([expect.stringMatching(/^READ_DATABASE_URL: .*only a database of DATABASE_URL has one/)]);
  });

  test('names every wrong setting at once and shows no secret', () => {
    const secret = 'sesame open';
    const problems = problemsOf({
      PORT: 'x',
      LOG_LEVEL: 'loud',
      BOOTSTRAP_API_KEY: secret,
      DATABASE_URL: `mysql://u:${secret}@h/d`,
    });
    expect(problems.map((problem) => problem.split(':')[0]).sort()).toEqual([
      'BOOTSTRAP_API_KEY',
      'DATABASE_URL',
      'LOG_LEVEL',
      'PORT',
    ]);
    expect(problems.join('\n')).not.toContain('sesame');
    expect(problems.join('\n')).toContain('"loud"');
  });
});

test('docs/settings.md has every setting with its default', () => {
  const page = readFileSync(new URL('../docs/settings.md', import.meta.url), 'utf8');
  for (const [name, { default: fallback }] of Object.entries(ConfigSchema.properties)) {
    const shown = fallback === undefined ? '' : `\`${fallback}\` `;
    expect(page, name).toContain(`| \`${name}\` | ${shown}|`);
  }
});

function problemsOf(environment: Record<string, string>): string[] {
  try {
    readConfig(environment);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).toBe((error as ConfigError).problems.join('\n'));
    return (error as ConfigError).problems;
  }
  throw new Error(`taken: ${JSON.stringify(environment)}`);
}
