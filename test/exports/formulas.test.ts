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
  const texts = Array.from({ length: 20_000 }, (_, i) =>
    Array.from({ length: 1 + (i % 6) }, (_, k) => pieces[(i * 7 + k * (i % 13) + (i >> k)) % 16]).join(''),
  );
  const begins = (text: string) =>
    withoutFormulas(text)
      .split(/[,;|\t\r\n]/)
      .some((cell) => /^[=+\-@＝]/.test(cell.trimStart()));
  expect(new Set(texts).size).toBeGreaterThan(2_000);
  expect(texts.filter(begins)).toEqual([]);
});
