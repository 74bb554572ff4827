import { expect, test } from 'vitest';
import { readMigrations } from '../../src/database/migrations.ts';
import { statementsOf } from '../../src/database/statements.ts';

test('a text is divided at its semicolons, but not at those in strings, names, bodies and comments', () => {
  const parts = [
    "-- one; two\ncreate table \"a;b\" (c text default 'it''s; d');",
    'create function f() returns text language sql as $$ select 1; select 2 $$;',
    'do $body$ begin perform $$;$$; end $body$;',
    '/* three; */ select 4 - 2 / 1;',
    'select $1',
  ];
  expect(statementsOf(parts.join('\n'))).toEqual(parts);
  expect(statementsOf('-- nothing;\n ; /* ; */\n')).toEqual([]);
});

test('no migration loses a sign', async () => {
  const packed = (text: string) => text.replaceAll(/--[^\n]*|\s/g, '');
  for (const { name, text } of await readMigrations()) {
    expect([name, packed(statementsOf(text).join('\n'))]).toEqual([name, packed(text)]);
    expect([name, text.match(/E'/)]).toEqual([name, null]);
  }
});
