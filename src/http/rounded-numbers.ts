import { type JsonPath, scanJson } from '../lib/json-scan.ts';

/** Numbers of a text that are stored as others than they were written. */
export interface RoundedNumbers {
  /** The first of them, as it was written, and where. */
  literal: string;
  path: JsonPath;
  count: number;
}

/**
 * Every number is a float64 here, as in most of what reads JSON. Integers beyond 2^53 are not all among them, nor is anything beyond
 * 1.8e308. A decimal fraction has no exact float64 either, but whoever writes one does not expect that; whoever writes an integer does.
 * @param text valid JSON
 * @returns undefined when there is none
 */
export function findRoundedNumbers(text: string): RoundedNumbers | undefined {
  if (!mayBeRounded.test(text)) return undefined;
  let found: RoundedNumbers | undefined;
  scanJson(text, (literal, path) => {
    if (!isRounded(literal)) return;
    if (found === undefined) found = { literal, path: path(), count: 1 };
    else found.count++;
  });
  return found;
}

/** 2^53 has sixteen digits; an exponent of two digits is small enough. */
const mayBeRounded = /\d{16}|[eE]\+?\d{3}/;

function isRounded(literal: string): boolean {
  const value = Number(literal);
  if (!Number.isFinite(value)) return true;
  if (Number.isSafeInteger(value) || !/^-?\d+$/.test(literal)) return false;
  return BigInt(literal) !== BigInt(value);
}
