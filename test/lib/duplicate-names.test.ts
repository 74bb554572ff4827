import fc from 'fast-check';
import { expect, test } from 'vitest';
import { duplicateName } from '../../src/lib/duplicate-names.ts';

const find = (text: string) => duplicateName(text, JSON.parse(text));

test.each([
  ['{"a":1,"a":1}', 'a'],
  ['{"channels":{"p":{"values":[1]},"q":{},"p":{"values":[2]}}}', 'p'],
  ['{"channels":{"p":{"values":[1],"values":[2]}}}', 'values'],
  ['[0,{"a":[{"b" \n:1, "b"\t: "x:y"}]}]', 'b'],
  ['{"a":1,"\\u0061":2}', 'a'],
  ['{"\\"":1,"\\u0022":2}', '"'],
  ['{"__proto__":1,"__proto__":2}', '__proto__'],
  ['{"":1,"":2}', ''],
  ['{"é":"\\\\","é":""}', 'é'],
  ['{"1":1,"1":2}', '1'],
])('%s names %j twice', (text, name) => {
  expect(find(text)).toBe(name);
});

test.each([
  '{}',
  '[]',
  '1',
  '"a:b"',
  'null',
  '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}',
  '{"a":"b","c":"\\":","d":"\\\\","e":"\\\\\\":{"}',
  '{"a" : ": \\"a\\" : 1", "b":["a","a",":"]}',
  '{"__proto__":{"a":1},"constructor":1}',
])('%s names nothing twice', (text) => {
  expect(find(text)).toBeUndefined();
});

test('depth is no matter', () => {
  const depth = 1_000_000;
  expect(find(`${'[{"a":'.repeat(depth)}1${'}]'.repeat(depth)}`)).toBeUndefined();
  expect(find(`${'[{"a":'.repeat(depth)}{"b":1,"b":2}${'}]'.repeat(depth)}`)).toBe('b');
});

test('any JSON is taken, and with one of its names again it is not', () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('"', '\\', '":', '{', 'a"b', ' : ', '\u2028', '__proto__'));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, 1.5, -0, 1e300),
      text,
      fc.array(tie('value')),
      fc.dictionary(text, tie('value')),
    ),
  }));
  fc.assert(
    fc.property(value, text, fc.constantFrom(undefined, 1, '\t'), (inside, name, indent) => {
      const json = JSON.stringify(inside, undefined, indent);
      expect(find(json)).toBeUndefined();
      const twice = JSON.stringify([{ [`${name}1`]: inside, [`${name}2`]: inside }], undefined, indent);
      expect(find(twice)).toBeUndefined();
      const [one, other] = [1, 2].map((digit) => JSON.stringify(`${name}${digit}`)) as [string, string];
      // The first place of the second name is its own, unless the value holds it too.
      fc.pre(!json.includes(other) && !json.includes(one));
      expect(find(twice.replace(other, () => one))).toBe(`${name}1`);
    }),
    { numRuns: 500 },
  );
});
