import { expect } from 'vitest';
import { duplicateName } from '../../src/lib/duplicate-names.ts';
import { faultsOf, type Schema } from '../api/properties/document.ts';

const closed = new Map<Schema, Schema>();

/** A schema whose objects have no fields but those that it names, unless it says what others are. */
function close(schema: Schema): Schema {
  const known = closed.get(schema);
  if (known !== undefined) return known;
  const { properties, items, anyOf, additionalProperties } = schema;
  const result: Schema = {
    ...schema,
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, close(one)])),
      additionalProperties: additionalProperties ?? false,
    }),
    ...(items && { items: close(items) }),
    ...(anyOf && { anyOf: anyOf.map(close) }),
    ...patternsOf(schema),
  };
  closed.set(schema, result);
  return result;
}

type WithPatterns = { patternProperties?: Record<string, Schema> };

/** A record of TypeBox. */
function patternsOf({ patternProperties }: Schema & WithPatterns): WithPatterns {
  if (patternProperties === undefined) return {};
  return {
    patternProperties: Object.fromEntries(Object.entries(patternProperties).map(([name, one]) => [name, close(one)])),
  };
}

/** Holds answers against their schemas, and knows which fields of these none of them has had. */
export function createStrictAnswers() {
  const seen = new Map<Schema, Set<string>>();

  /** Notes the fields of a value that its schema names. */
  function note(schema: Schema & WithPatterns, value: unknown): void {
    for (const one of schema.anyOf ?? []) note(one, value);
    if (Array.isArray(value) && schema.items) for (const one of value) note(schema.items, one);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
    const fields = seen.get(schema) ?? new Set();
    seen.set(schema, fields);
    for (const [name, one] of Object.entries(value)) {
      const own = schema.properties?.[name];
      if (own) fields.add(name);
      const other = own ?? Object.values(schema.patternProperties ?? {})[0];
      if (other) note(other, one);
    }
  }

  function unseen(schema: Schema & WithPatterns, place: string): string[] {
    const inside = [
      ...(schema.anyOf ?? []).flatMap((one) => unseen(one, place)),
      ...(schema.items ? unseen(schema.items, `${place}[]`) : []),
      ...Object.values(schema.patternProperties ?? {}).flatMap((one) => unseen(one, `${place}.*`)),
    ];
    const own = Object.entries(schema.properties ?? {}).flatMap(([name, one]) =>
      seen.get(schema)?.has(name) ? unseen(one, `${place}.${name}`) : [`${place}.${name}`],
    );
    return [...inside, ...own];
  }

  return {
    check(schema: Schema, text: string, url: string): void {
      const value: unknown = JSON.parse(text);
      expect(duplicateName(text, value), `twice in ${url}`).toBeUndefined();
      expect(faultsOf(close(schema), value), `${url}: ${text.slice(0, 2_000)}`).toBe('');
      note(schema, value);
    },
    unseen,
  };
}
