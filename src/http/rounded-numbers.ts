import { type JsonPath, scanJson } from '../lib/json-scan.ts';

/** Numbers of a text that are stored as other numbers than they were written. */
export interface RoundedNumbers {
  /** The first of them, as it was written, and where. */
  literal: string;
  path: JsonPath;
  count: number;
}

/**
 * Finds numbers that float64, in which every number is stored, cannot hold: integers beyond 2^53 that would be rounded,
 * and anything beyond 1.8e308. Decimal fractions are not reported: they are rounded too, but their senders expect that,
 * while those of integers do not.
 * @param text valid JSON
 * @returns undefined when there are none
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

/** A fast check: 2^53 has sixteen digits, and an exponent of two digits cannot exceed float64. */
const mayBeRounded = /\d{16}|[eE]\+?\d{3}/;

function isRounded(literal: string): boolean {
  const value = Number(literal);
  if (!Number.isFinite(value)) return true;
  if (Number.isSafeInteger(value) || !/^-?\d+$/.test(literal)) return false;
  return BigInt(literal) !== BigInt(value);
}
