import { isUtf8 } from 'node:buffer';
import { ApiError, clip } from '../errors.ts';
import { duplicateName } from '../lib/duplicate-names.ts';
import { countJson } from '../lib/json-counts.ts';
import type { HttpLimits } from './limits.ts';

export type JsonLimits = Pick<HttpLimits, 'bodyContainersMax' | 'bodyStringsMax' | 'uncountedBodyBytesMax'>;

/**
 * @returns undefined for an empty body
 * @throws ApiError 400 for what is not UTF-8, not JSON, or names one field twice, of which one would be lost; but for that
 *   name, the text of the body is not echoed. 413 for more objects, arrays and strings than any request needs, before they are
 *   built: 33 MB of `{}` would take 1.4 GB and seconds.
 */
export function parseJson(body: Buffer, limits: JsonLimits): unknown {
  if (body.length === 0) return undefined;
  if (!isUtf8(body)) throw new ApiError('bad_request', 'The body is not valid UTF-8.');
  if (body.length > limits.uncountedBodyBytesMax) checkCounts(body, limits);
  const hasByteOrderMark = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  const text = body.toString('utf8', hasByteOrderMark ? 3 : 0);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const position = /at position \d+/.exec((error as Error).message)?.[0] ?? 'at its end';
    throw new ApiError('bad_request', `The body is not valid JSON (${position}).`);
  }
  const name = duplicateName(text, value);
  if (name === undefined) return value;
  throw new ApiError(
    'bad_request',
    `The name "${clip(name)}" stands twice in one object of the body; nothing was stored.`,
  );
}

function checkCounts(body: Buffer, { bodyContainersMax, bodyStringsMax }: JsonLimits): void {
  const { containers, strings } = countJson(body, { containers: bodyContainersMax, strings: bodyStringsMax });
  const refuse = (what: string) =>
    new ApiError('body_too_large', `The body has more than ${what}; nothing was stored.`);
  if (containers > bodyContainersMax) throw refuse(`${bodyContainersMax} objects and arrays (bodyContainersMax)`);
  if (strings > bodyStringsMax) throw refuse(`${bodyStringsMax} strings (bodyStringsMax)`);
}
