import { expect, test } from 'vitest';
import { withoutFormulas } from '../../src/exports/formulas.ts';

test.each([
  ['=1', "'=1"],
  ['+1', "'+1"],
  ['-1', "'-1"],
  ['@sum(1)', "'@sum(1)"],
  ['＝1', "'＝1"],
  ['  =1', "  '=1"],
  [';=1', ";'=1"],
  ['a;=1;-2', "a;'=1;'-2"],
  ['a, +1', "a, '+1"],
  ['a|@b', "a|'@b"],
  ['a\t=1', "a\t'=1"],
  ['\t=1', "'\t'=1"],
  ['\ttext', "'\ttext"],
  ['\rtext', "'\rtext"],
  ['\ntext', "'\ntext"],
  ['a\n=1', "a\n'=1"],
  ['";=1', '";\'=1'],
  ['a"=1', 'a"\'=1'],
  [';;=1', ";;'=1"],
])('%j', (text, escaped) => {
  expect(withoutFormulas(text)).toBe(escaped);
});

test.each(['', 'thickness', 'a-b', 'T = 300 K', 'rate (nm/s)', 'a;b', '1e-5', 'ada@lab.example'])(
  '%j stays',
  (text) => {
    expect(withoutFormulas(text)).toBe(text);
  },
);

test('no separator leaves a cell that begins a formula', () => {
  const pieces = ['=', '+', '-', '@', ';', ',', '\t', '\r', '\n', '"', "'", '|', ' ', 'a', '1', '＝'];
  for (let i = 0; i < 20_000; i++) {
    const text = Array.from({ length: 1 + (i % 6) }, (_, k) => pieces[(i * 7 + k * (i % 13) + (i >> k)) % 16]).join('');
    const escaped = withoutFormulas(text);
    for (const cell of escaped.split(/[,;|\t\r\n]/))
      expect(cell.trimStart(), JSON.stringify(text)).not.toMatch(/^[=+\-@＝]/);
  }
});
