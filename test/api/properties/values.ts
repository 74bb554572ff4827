import fc from 'fast-check';
import { durationMsPattern } from '../../../src/lib/duration.ts';
import type { Schema } from './document.ts';
import type { Known } from './things.ts';

const listLengthMax = 4;
const textLengthMax = 12;

/**
 * Values that a schema allows.
 * @param name of the field or parameter that holds them, @param known what fields of some names are to hold
 */
export function valuesOf(schema: Schema, name: string, known: Known): fc.Arbitrary<unknown> {
  const things = known[name];
  if (things === undefined) return anyOf(schema, known);
  if (schema.type === 'array') {
    return fc.uniqueArray(things, { minLength: Math.max(1, schema.minItems ?? 0), maxLength: listLengthMax });
  }
  const types = [schema.type ?? []].flat();
  return types.includes('null') ? fc.option(things, { freq: 8 }) : things;
}

function anyOf(schema: Schema, known: Known): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((one) => anyOf(one, known)));
  const types = [schema.type ?? []].flat();
  if (types.length === 0) return fc.jsonValue({ maxDepth: 2 });
  return fc.oneof(...types.map((type) => ofType(type, schema, known)));
}

function ofType(type: string, schema: Schema, known: Known): fc.Arbitrary<unknown> {
  switch (type) {
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'integer':
      return integers(schema);
    case 'number':
      return numbers;
    case 'string':
      return texts(schema);
    case 'array':
      return fc.array(valuesOf(schema.items ?? {}, '', known), {
        minLength: schema.minItems ?? 0,
        maxLength: listLengthMax,
      });
    case 'object':
      return objects(schema, known);
    default:
      throw new Error(`no values are made of type ${type}`);
  }
}

const numbers = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -10, max: 2_000_000_000 }),
  fc.constantFrom(-0, 5e-324, 2 ** 53 + 2, 1.7e308, -1e300, 1705312200, 1705312200.0004),
);

function integers({ minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER }: Schema) {
  const nearest = Math.max(0, minimum);
  return fc.oneof(
    { arbitrary: fc.integer({ min: nearest, max: Math.min(maximum, nearest + 20) }), weight: 4 },
    { arbitrary: fc.integer({ min: minimum, max: maximum }), weight: 2 },
    { arbitrary: fc.constantFrom(minimum, maximum), weight: 1 },
  );
}

/** Of the five patterns that the document has: of ids, of revisions, of numbers of keys, of durations, and that of any text that PostgreSQL can keep. */
function texts({ pattern, minLength = 0, maxLength = 2_000 }: Schema): fc.Arbitrary<string> {
  if (pattern?.startsWith('^[0-9a-fA-F]{8}-')) {
    return fc.oneof(
      fc.uuid(),
      fc.uuid().map((id) => id.toUpperCase()),
    );
  }
  if (pattern === '^[1-9][0-9]{0,9}$') return fc.integer({ min: 1, max: 9_999_999_999 }).map(String);
  // Numbers of keys begin at 1, and those that requests come with are to go on opening.
  if (pattern === '^[1-9][0-9]{0,14}$') return fc.integer({ min: 1_000_000, max: 999_999_999_999_999 }).map(String);
  if (pattern === durationMsPattern) return fc.constantFrom('250ms', '1s', '5m', '2h', '1d', '007s', '999999999d');
  if (pattern !== undefined && pattern !== '^[^\\u0000\\ud800-\\udfff]*$') {
    throw new Error(`no text is made of the pattern ${pattern}`);
  }
  return fc.oneof(
    {
      // All characters but halves of a pair, and those only are the ones that the pattern leaves out beside U+0000.
      arbitrary: fc
        .string({ unit: 'binary', minLength, maxLength: Math.min(maxLength, textLengthMax) })
        .map((text) => text.replaceAll('\u0000', '0')),
      weight: 12,
    },
    { arbitrary: fc.constantFrom('1705312200', '2024-01-15', 'GaN-001', "'; --", '__proto__', ' x '), weight: 4 },
    // Counted in characters, each of which is four bytes.
    { arbitrary: fc.constant('𝕏'.repeat(maxLength)), weight: 1 },
  );
}

function objects(schema: Schema, known: Known): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = schema;
  const fields = Object.entries(properties).map(([name, one]) => [name, valuesOf(one, name, known)] as const);
  const record = fc.record(Object.fromEntries(fields), { requiredKeys: required, noNullPrototype: true });
  if ('timestamps' in properties && 'values' in properties) return record.map(pairUp);
  if (additionalProperties === undefined || additionalProperties === false) return record;
  const others = fc.dictionary(
    schema.propertyNames ? texts(schema.propertyNames) : fc.string({ maxLength: 8 }),
    additionalProperties === true ? fc.jsonValue({ maxDepth: 2 }) : anyOf(additionalProperties, known),
    { minKeys: schema.minProperties ?? 0, maxKeys: listLengthMax, noNullPrototype: true },
  );
  return fc.tuple(others, record).map(([some, own]) => ({ ...some, ...own }));
}

/** As many timestamps as values, and at least one: a rule between two fields, which no schema can say. */
function pairUp(readings: Record<string, unknown>) {
  const [timestamps, values] = [readings.timestamps, readings.values] as [unknown[], unknown[]];
  const length = Math.min(timestamps.length, values.length);
  if (length === 0) return { ...readings, timestamps: [1705312200.5], values: [null] };
  return { ...readings, timestamps: timestamps.slice(0, length), values: values.slice(0, length) };
}
