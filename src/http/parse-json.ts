import { isUtf8 } from 'node:buffer';
import { ApiError, clip, invalid } from '../errors.ts';
import { duplicateName } from '../lib/duplicate-names.ts';
import { countJson } from '../lib/json-counts.ts';
import { explainFault } from './json-fault.ts';
import type { HttpLimits } from './limits.ts';
import { findRoundedNumbers } from './rounded-numbers.ts';

export interface JsonLimits extends Pick<HttpLimits, 'bodyContainersMax' | 'bodyStringsMax' | 'uncountedBodyBytesMax'> {
  /** Name of the limit of strings in the error; by default `bodyStringsMax`. */
  namedStrings?: string;
}

/** A parsed body, and its text. */
export interface ParsedJson {
  value: unknown;
  text: string;
}

/**
 * Parses a body as JSON.
 * @returns `value` is undefined for an empty body
 * @throws ApiError 400 for a body that is not UTF-8 or not JSON, or has a field twice, since one of the two would be
 * lost. The   error echoes only names and the wrong word of the body. 413, before parsing, for more objects, arrays and
 * strings than any   request needs: 33 MB of `{}` would take 1.4 GB and seconds.
 */
export function parseJson(body: Buffer, limits: JsonLimits): ParsedJson {
  if (body.length === 0) return { value: undefined, text: '' };
  if (!isUtf8(body)) throw new ApiError('bad_request', 'The body is not valid UTF-8.');
  if (body.length > limits.uncountedBodyBytesMax) checkCounts(body, limits);
  const hasByteOrderMark = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  const text = body.toString('utf8', hasByteOrderMark ? 3 : 0);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiError('bad_request', explainFault(text));
  }
  const name = duplicateName(text, value);
  if (name === undefined) return { value, text };
  throw new ApiError(
    'bad_request',
    `The name "${clip(name)}" stands twice in one object of the body; nothing was stored.`,
  );
}

/**
 * Checks a body that contains a document which is stored unchanged.
 * @throws ApiError 422 for a number that would be rounded to another one
 */
export function refuseRoundedNumbers(text: string): void {
  const rounded = findRoundedNumbers(text);
  if (rounded === undefined) return;
  const literal = clip(rounded.literal);
  const rule = 'numbers are float64, exact for integers up to 2^53 only; send a text instead';
  const input = clip(rounded.literal);
  throw invalid(['body', ...rounded.path], `${literal} would be stored as ${Number(rounded.literal)}: ${rule}`, input);
}

function checkCounts(
  body: Buffer,
  { bodyContainersMax, bodyStringsMax, namedStrings = 'bodyStringsMax' }: JsonLimits,
): void {
  const { containers, strings } = countJson(body, { containers: bodyContainersMax, strings: bodyStringsMax });
  const refuse = (what: string) =>
    new ApiError('body_too_large', `The body has more than ${what}; nothing was stored.`);
  if (containers > bodyContainersMax) throw refuse(`${bodyContainersMax} objects and arrays (bodyContainersMax)`);
  if (strings > bodyStringsMax) throw refuse(`${bodyStringsMax} strings (${namedStrings})`);
}
