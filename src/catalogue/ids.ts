import { notFound } from '../errors.ts';

/** Ids in lower case, as PostgreSQL writes them, without duplicates. */
export function distinctIds(ids: string[]): string[] {
  return [...new Set(ids.map((id) => id.toLowerCase()))];
}

/** @throws ApiError 404 with the first of `wanted` that is not among `known` */
export function requireAll(what: string, wanted: string[], known: string[]): void {
  const there = new Set(known);
  const missing = wanted.find((id) => !there.has(id));
  if (missing !== undefined) throw notFound(`${what} ${missing}`);
}
