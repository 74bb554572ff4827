import { notFound } from '../errors.ts';

/** Ids as PostgreSQL writes them, each once. */
export function distinctIds(ids: string[]): string[] {
  return [...new Set(ids.map((id) => id.toLowerCase()))];
}

/** @throws ApiError 404 that names the first of `wanted` that is not among `known`. */
export function requireAll(what: string, wanted: string[], known: string[]): void {
  const there = new Set(known);
  const missing = wanted.find((id) => !there.has(id));
  if (missing !== undefined) throw notFound(`${what} ${missing}`);
}
