import fc from 'fast-check';
import type { Operation } from './document.ts';
import { type ApiRequest, asNumber } from './requests.ts';

/* Wrong in one to three places: what stands somewhere is dropped, replaced, doubled, or gets company. */

const longText = 'x'.repeat(100_000);
const texts = fc.oneof(
  fc.constantFrom('', ' ', '0', '-1', '1e3', '1e999', '-0', 'NaN', 'Infinity', 'null', 'true', 'False', '[]', '{}'),
  fc.constantFrom('\u0000', 'a\u0000b', '\ud800', '\udfff\ud800', '\ufeff', '\u202e', 'e\u0301', '😀', longText),
  fc.constantFrom('__proto__', 'constructor', '%', '%00', '+', '/', 'a/b', '\\', '"', "'; drop table chunks; --", '$1'),
  fc.constantFrom('9007199254740992', '99999999999999999999', '2147483648', '-2147483649', '5e-324', '0x10', '1_0'),
  fc.constantFrom('0001-01-01', '9999-12-31T23:59:60Z', '2024-02-30', '-000001-01-01T00:00:00Z', '275760-09-13'),
  fc.string({ unit: 'binary', maxLength: 10 }),
  fc.uuid(),
);
const values = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, [], {}, 0, -0, -1, 0.5, 1e300, 2 ** 53, -(2 ** 53), 2 ** 31, 5e-324),
  fc.constantFrom(...['1e999', '-1e999', '-0', '1E400', '123456789012345678901234567890', '1e-999'].map(asNumber)),
  texts,
  fc.jsonValue({ maxDepth: 2 }),
  fc.array(fc.constantFrom<unknown>(null, 1, '', asNumber('1e999')), { minLength: 1, maxLength: 3 }),
);
const notJson = fc.constantFrom<string | Buffer>(
  ...['', ' ', '{', '[', '{"a":}', "{'a':1}", 'NaN', '{"a":1}}', '\u0000', '"\ud800', 'undefined', '{"a":1,}', '01'],
  ...['['.repeat(50_000), '{"data_id":'.repeat(5_000), 'data_id=1&values=2'],
  Buffer.from([0xff, 0xfe, 0x7b, 0x00]),
  Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d]),
);
const contentTypes = fc.constantFrom(
  ...['text/plain', 'application/json; charset=utf-16', 'application/xml', 'multipart/form-data', '/', 'é', undefined],
);
const queryTails = fc.constantFrom('&', '&=', '%', '&%zz=%', '?', '&a[]=1', '&__proto__=1', '&%00=%00', '&&&;', '#x');

interface Mutation {
  /** Which of the places of the request, counted around. */
  at: number;
  kind: 'drop' | 'replace' | 'wrap' | 'add' | 'double';
  value: unknown;
  text: string;
}
const kinds: Mutation['kind'][] = ['drop', 'replace', 'replace', 'replace', 'wrap', 'add', 'double'];
const mutations = fc.array(fc.record({ at: fc.nat(), kind: fc.constantFrom(...kinds), value: values, text: texts }), {
  minLength: 1,
  maxLength: 3,
});

/** Requests with something wrong in their fields and parameters, or around them. */
export function mutated(operation: Operation, valid: fc.Arbitrary<ApiRequest>): fc.Arbitrary<ApiRequest> {
  const inside = fc.tuple(valid, mutations).map(([request, all]) => all.reduce(mutate, request));
  const around = fc.oneof(
    fc.record({ rawBody: notJson, contentType: fc.constant('application/json') }),
    fc.record({ contentType: contentTypes }),
    fc.record({ key: fc.constantFrom<ApiRequest['key']>('rival', 'unknown', 'none') }),
    fc.record({ queryTail: queryTails }),
  );
  const outside = fc.tuple(valid, around).map(([request, changes]) => ({ ...request, ...changes }) as ApiRequest);
  const hasFields = operation.body !== undefined || operation.parameters.length > 0;
  return fc.oneof({ arbitrary: inside, weight: hasFields ? 7 : 1 }, { arbitrary: outside, weight: 1 });
}

function mutate(request: ApiRequest, mutation: Mutation): ApiRequest {
  const bodyPlaces = request.body === undefined ? [] : placesIn(request.body);
  const pathNames = Object.keys(request.path);
  // One more than there are parameters, so that one can be added to none.
  const count = bodyPlaces.length + pathNames.length + request.query.length + 1;
  const at = mutation.at % count;
  if (at < bodyPlaces.length) {
    return { ...request, body: changed(request.body, bodyPlaces[at] as string[], mutation) };
  }
  const name = pathNames[at - bodyPlaces.length];
  if (name !== undefined) return { ...request, path: { ...request.path, [name]: pathText(mutation.text) } };
  return { ...request, query: changedQuery(request.query, at - bodyPlaces.length - pathNames.length, mutation) };
}

/** An empty segment, and one of dots, make the URL one of another operation. */
const pathText = (text: string) => (/^\.{0,2}$/.test(text) ? '-' : text);

function changedQuery(query: ApiRequest['query'], at: number, { kind, text }: Mutation): ApiRequest['query'] {
  const pair = query[at];
  if (pair === undefined) return [...query, [text === '' ? 'other' : text.slice(0, 20), text]];
  if (kind === 'drop') return query.toSpliced(at, 1);
  if (kind === 'double') return [...query, [pair[0], text]];
  if (kind === 'add') return [...query, [pair[0], pair[1]], ['other', text]];
  if (kind === 'wrap') return query.with(at, [`${pair[0]}[]`, pair[1]]);
  return query.with(at, [pair[0], text]);
}

/** Paths to all values within a value, itself first. */
function placesIn(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [[]];
  return [[], ...Object.entries(value).flatMap(([name, one]) => placesIn(one).map((path) => [name, ...path]))];
}

/** A copy of a value with one change at a place; a dropped item of a list leaves null. */
function changed(value: unknown, path: string[], mutation: Mutation): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return replacementOf(value, mutation);
  const inner = changed((value as Record<string, unknown>)[name], rest, mutation);
  if (Array.isArray(value)) return value.with(Number(name), inner ?? null);
  return { ...(value as object), [name]: inner };
}

function replacementOf(value: unknown, { kind, value: junk, text }: Mutation): unknown {
  if (kind === 'drop') return undefined;
  if (kind === 'wrap') return [value];
  if (kind === 'double') return { value, again: value };
  if (kind === 'replace' || typeof value !== 'object' || value === null) return junk;
  return Array.isArray(value) ? [...value, junk] : { ...value, [text.slice(0, 300)]: junk };
}
