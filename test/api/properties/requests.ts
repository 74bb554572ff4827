import fc from 'fast-check';
import { toJson } from '../../support/test-server.ts';
import type { Operation, Parameter } from './document.ts';
import type { Known } from './things.ts';
import { valuesOf } from './values.ts';

export interface ApiRequest {
  key: 'ada' | 'rival' | 'unknown' | 'none';
  path: Record<string, string>;
  /** In this order, names more than once when a list is meant. */
  query: [name: string, value: string][];
  /** Behind the query, as it stands. */
  queryTail: string;
  /** A value that becomes JSON; `undefined` for none. */
  body: unknown;
  /** What is sent in place of the body. */
  rawBody?: string | Buffer;
  contentType: string | undefined;
}

const optionalMax = 4;

/** Requests that the document allows, whose ids are all made up, or that name things that are there. */
export function validRequests(operation: Operation, known: Known): fc.Arbitrary<ApiRequest> {
  const parametersIn = (place: Parameter['in']) => operation.parameters.filter((one) => one.in === place);
  const fieldsOf = (parameters: Parameter[]) => {
    const fields = parameters.map(({ name, schema }) => fc.tuple(fc.constant(name), valuesOf(schema, name, known)));
    const needed = parameters.map((one) => one.required || isNeeded(operation, one, known));
    const optional = [...parameters.keys()].filter((index) => !needed[index]);
    // Few of many filters, or nothing is left to be found.
    const chosen = fc.subarray(optional, { maxLength: Math.min(optional.length, optionalMax) });
    return fc
      .tuple(fc.tuple(...fields), chosen)
      .map(([all, indexes]) => Object.fromEntries(all.filter((_, index) => needed[index] || indexes.includes(index))));
  };
  const body = operation.body ? valuesOf(operation.body, '', known) : fc.constant(undefined);
  const parts = fc.tuple(fieldsOf(parametersIn('path')), fieldsOf(parametersIn('query')), body);
  return parts.map(([path, query, one]) => ({
    key: 'ada',
    path: Object.fromEntries(Object.entries(path).map(([name, value]) => [name, String(value)])),
    query: Object.entries(query).flatMap(([name, value]) =>
      [value].flat().map((item) => [name, String(item)] as const),
    ),
    queryTail: '',
    body: one,
    contentType: one === undefined ? undefined : 'application/json',
  })) as fc.Arbitrary<ApiRequest>;
}

/** An export of many streams says which: one of many parameters must be there, and this one finds something. */
const isNeeded = ({ path }: Operation, { name }: Parameter, known: Known) =>
  /^\/exports\/(metadata\/)?$/.test(path) && name === 'data_ids' && name in known;

/** Stands in a body for a number that JSON.stringify cannot write, such as 1e999. */
export const asNumber = (text: string) => `\u0001number ${text}`;

/** What goes over the wire as the body. */
export function payloadOf({ body, rawBody }: ApiRequest): string | Buffer | undefined {
  if (rawBody !== undefined || body === undefined) return rawBody;
  return toJson(body).replaceAll(/"\\u0001number ([^"]*)"/g, '$1');
}

export function urlOf({ path }: Operation, request: ApiRequest): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => percentEncoded(request.path[name] ?? ''));
  const pairs = request.query.map(([name, value]) => `${percentEncoded(name)}=${percentEncoded(value)}`);
  const query = pairs.join('&') + request.queryTail;
  return query === '' ? filled : `${filled}?${query}`;
}

/** Halves of a pair of surrogates too, as three bytes that are no UTF-8. */
function percentEncoded(text: string): string {
  if (text.isWellFormed()) return encodeURIComponent(text);
  const characters = [...text].map((character) => {
    if (character.isWellFormed()) return encodeURIComponent(character);
    const code = character.charCodeAt(0);
    const bytes = [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)];
    return bytes.map((byte) => `%${byte.toString(16)}`).join('');
  });
  return characters.join('');
}
