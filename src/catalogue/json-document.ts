import { clip, invalid } from '../errors.ts';
import { storableTextPattern } from '../http/schemas.ts';
import type { CatalogueLimits } from './limits.ts';

const storableText = new RegExp(storableTextPattern, 'u');

/**
 * The JSON text of a client's own document for a jsonb column. Every key is kept, `__proto__` too.
 * @throws ApiError 422 with the path, beginning with `at`, of what jsonb cannot hold or would change: U+0000 or a lone
 * surrogate in a text or a key, a number beyond float64, more than `jsonDepthMax` levels, more than `documentBytesMax`
 * bytes
 */
export function jsonDocument(
  document: unknown,
  at: (string | number)[],
  { jsonDepthMax, documentBytesMax: bytesMax }: CatalogueLimits,
): string {
  refuseUnstorable(document, at, jsonDepthMax, 0);
  const text = JSON.stringify(document);
  const bytes = Buffer.byteLength(text);
  if (bytes > bytesMax) {
    throw invalid(at, `the document must not be larger than ${bytesMax} bytes as JSON; this one has ${bytes}`);
  }
  return text;
}

function refuseUnstorable(value: unknown, at: (string | number)[], depthMax: number, depth: number): void {
  if (typeof value === 'string' && !storableText.test(value)) {
    throw invalid(at, 'the text must not hold U+0000 or a lone surrogate', value);
  }
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw invalid(at, 'the number must be within float64', value);
  }
  if (typeof value !== 'object' || value === null) return;
  if (depth >= depthMax) throw invalid(at.slice(0, 3), `the document must not be deeper than ${depthMax} levels`);
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) refuseUnstorable(item, [...at, index], depthMax, depth + 1);
    return;
  }
  for (const [key, item] of Object.entries(value)) {
    const place = [...at, String(clip(key))];
    if (!storableText.test(key)) throw invalid(place, 'the key must not hold U+0000 or a lone surrogate', key);
    refuseUnstorable(item, place, depthMax, depth + 1);
  }
}
