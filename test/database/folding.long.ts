import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { describe, expect, inject, test } from 'vitest';
import { findFolding, rememberFolding } from '../../src/database/folding.ts';
import { administer, urlOfDatabase } from '../support/global-setup.ts';

/* Against every collation that a database can have here. */

const pairs = [
  ['ÄÖÜ Å', 'äöü å'.normalize('NFD')],
  ['Й ПРОБА', 'й проба'.normalize('NFD')],
  ['ΣΊΣΥΦΟΣ', 'σίσυφος'],
  ['5 µΩ', '5 μω'],
  ['STRASSE', 'straße'],
  ['I', 'i'],
  ['ǰ', 'ǰ'.toUpperCase()],
  ['a\u00adb', 'ab'],
  ['', '\u200b'],
] as const;
const different = [
  ['a', 'b'],
  ['a', 'ä'],
  ['o', 'ø'],
  ['ı', 'l'],
] as const;

const providers = [
  `locale 'C'`,
  `locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'`,
  `locale_provider icu icu_locale 'tr' locale 'C'`,
  `lc_collate 'C' lc_ctype 'C.UTF-8'`,
];

describe.each(providers)('a database with %s', (provider) => {
  test('folds what is the same and nothing else', async ({ skip }) => {
    const name = `folding_${randomUUID().slice(0, 8)}`;
    const adminUrl = inject('adminUrl');
    const made = administer(adminUrl, `create database ${name} template template0 encoding 'UTF8' ${provider}`);
    // A PostgreSQL before 17 has no provider of its own, and not every build has ICU or the locales of its machine.
    const problem = await made.then(
      () => undefined,
      (error: Error) => error.message,
    );
    if (problem !== undefined) {
      expect(problem).toMatch(/ICU|locale|provider/);
      skip();
    }
    const pool = new pg.Pool({ connectionString: urlOfDatabase(adminUrl, name), max: 1 });
    try {
      const fold = await findFolding(pool);
      const isSame = async (pair: readonly string[]) =>
        (await pool.query(`select ${fold('$1::text')} = ${fold('$2::text')} as is_same`, [...pair])).rows[0].is_same;
      for (const pair of pairs) expect([pair, await isSame(pair)]).toEqual([pair, true]);
      for (const pair of different) expect([pair, await isSame(pair)]).toEqual([pair, false]);
      expect((await pool.query(`select ${fold('null::text')} as folded`)).rows).toEqual([{ folded: null }]);
    } finally {
      await pool.end();
      await administer(adminUrl, `drop database ${name}`);
    }
  });
});

test('is asked once, and again when the database did not answer', async () => {
  let asked = 0;
  const pool = {
    query: async () => {
      if (++asked === 1) throw new Error('away');
      return { rows: [{ collname: 'pg_c_utf8' }] };
    },
  } as unknown as Parameters<ReturnType<typeof rememberFolding>>[0];
  const folding = rememberFolding();
  await expect(folding(pool)).rejects.toThrow('away');
  expect((await folding(pool))('name')).toContain('pg_c_utf8');
  await folding(pool);
  expect(asked).toBe(2);
});
