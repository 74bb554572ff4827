import { isUtf8 } from 'node:buffer';
import { ApiError, clip, invalid } from '../errors.ts';
import { duplicateName } from '../lib/duplicate-names.ts';
import { countJson } from '../lib/json-counts.ts';
import { explainFault } from './json-fault.ts';
import type { HttpLimits } from './limits.ts';
import { findRoundedNumbers } from './rounded-numbers.ts';

export interface JsonLimits extends Pick<HttpLimits, 'bodyContainersMax' | 'bodyStringsMax' | 'uncountedBodyBytesMax'> {
  /** What the bound of strings is called; by default `bodyStringsMax`. */
  namedStrings?: string;
}

/** A body, and the text that it was. */
export interface ParsedJson {
  value: unknown;
  text: string;
}

/**
 * @returns undefined as the value of an empty body
 * @throws ApiError 400 for what is not UTF-8, not JSON, or names one field twice, of which one would be lost; but for names and
 *   the word that is wrong, the text of the body is not echoed. 413 for more objects, arrays and strings than any request needs, before they are
 *   built: 33 MB of `{}` would take 1.4 GB and seconds.
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
 * For a body of which something is kept as it is, and not as a reading.
 * @throws ApiError 422 for a number that would be stored as another one
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
