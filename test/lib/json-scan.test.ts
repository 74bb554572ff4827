import fc from 'fast-check';
import { expect, test } from 'vitest';
import { scanJson } from '../../src/lib/json-scan.ts';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const pieces = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  'u00e9',
  'null',
  'true',
  'NaN',
  '-',
  '0',
  '1',
  '.',
  'e',
  '+',
  ' ',
  '\n',
];
const anyText = fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: 'binary', maxLength: 2 })), {
  maxLength: 15,
});

test('it calls valid what JSON.parse takes, and nothing else', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        anyText.map((all) => all.join('')),
      ),
      (text) => {
        expect(scanJson(text) === undefined).toBe(isJson(text));
      },
    ),
    { numRuns: 3_000 },
  );
});

test('of a text that was cut or has a wrong character it finds a place that is in it', () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.constantFrom('', 'N', ',', ']', '}', '"', '\u0001'), (text, where, wrong) => {
      const at = where % (text.length + 1);
      const broken = text.slice(0, at) + wrong + (wrong === '' ? '' : text.slice(at));
      const fault = scanJson(broken);
      expect(fault === undefined).toBe(isJson(broken));
      if (fault === undefined) return;
      expect(fault.offset).toBeLessThanOrEqual(broken.length);
      // Whatever comes behind it, it stays a fault, unless more was missing there.
      if (fault.offset < broken.length) expect(isJson(broken.slice(0, fault.offset + 1))).toBe(false);
    }),
    { numRuns: 3_000 },
  );
});

test('it gives every number as it is written, and its place', () => {
  const found: unknown[] = [];
  const text = '{"a":[1,{"b":-1.50e+3}], "c\\u0064":[[],[12345678901234567890]],"":0, "s":"7"}';
  expect(scanJson(text, (literal, path) => found.push([literal, path()]))).toBeUndefined();
  expect(found).toEqual([
    ['1', ['a', 0]],
    ['-1.50e+3', ['a', 1, 'b']],
    ['12345678901234567890', ['cd', 1, 0]],
    ['0', ['']],
  ]);
});

test('nesting of any depth and texts of any length are read', () => {
  expect(scanJson('['.repeat(200_000))?.offset).toBe(200_000);
  expect(scanJson(`"${'x\\n'.repeat(500_000)}"`)).toBeUndefined();
  expect(scanJson(`[${'1,'.repeat(200_000)}]`)).toMatchObject({ offset: 400_001, path: [200_000] });
  expect(scanJson('9'.repeat(1_000_000))).toBeUndefined();
});
