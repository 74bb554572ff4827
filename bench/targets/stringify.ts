import { readFileSync, writeSync } from 'node:fs';

/*
 * Reads an answer with the arrays of one property from a file, and prints the milliseconds that JSON.stringify takes for
 * those arrays in memory. The process is new, so nothing is compiled or warm yet.
 */
const answer = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as {
  properties: Record<string, Record<string, unknown>>;
};
const property = Object.values(answer.properties)[0] as Record<string, unknown>;
const arrays = Object.fromEntries(Object.entries(property).filter(([, value]) => Array.isArray(value)));
const startedAt = performance.now();
const text = JSON.stringify(arrays);
const ms = performance.now() - startedAt;
writeSync(1, JSON.stringify({ ms, characters: text.length, arrays: Object.keys(arrays).length }));
