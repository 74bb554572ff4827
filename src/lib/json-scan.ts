/** Where a value stands: field names and array indices, from the outermost value inwards. */
export type JsonPath = (string | number)[];

/** The first place at which a text is not valid JSON. */
export interface JsonFault {
  /** Characters before it. */
  offset: number;
  /** Path of the value that cannot be read, or that is followed by the fault. */
  path: JsonPath;
  /** What was expected at the offset; `separator` is a comma, a colon or the end. */
  wanted: 'value' | 'name' | 'separator';
}

/** An open object or array, and the field name or index at which the reader is. */
interface Level {
  isArray: boolean;
  step: string | number;
}

/**
 * Reads a text as JSON (RFC 8259) without building values. It finds what `JSON.parse` does not report: where a fault
 * is, and how numbers were written. It takes several times as long as `JSON.parse`, so use it only for texts that have
 * a fault or numbers that need checking.
 * @param onNumber called with each number as it is written, and with a function that returns its path
 * @returns undefined for valid JSON
 */
export function scanJson(
  text: string,
  onNumber: (literal: string, path: () => JsonPath) => void = () => {},
): JsonFault | undefined {
  const levels: Level[] = [];
  const path = () => levels.map(({ step }) => step);
  const fault = (offset: number, wanted: JsonFault['wanted']): JsonFault => ({ offset, path: path(), wanted });
  /** Whether the reader stands directly behind a value. */
  let isAfterValue = false;
  for (let i = skipSpace(text, 0); ; i = skipSpace(text, i)) {
    const level = levels.at(-1);
    if (isAfterValue) {
      if (level === undefined) return i === text.length ? undefined : fault(i, 'separator');
      if (text[i] === (level.isArray ? ']' : '}')) {
        levels.pop();
        i++;
        continue;
      }
      if (text[i] !== ',') return fault(i, 'separator');
      i = skipSpace(text, i + 1);
      if (level.isArray) level.step = (level.step as number) + 1;
    } else if (level !== undefined && text[i] === (level.isArray ? ']' : '}')) {
      // The object or array is empty: with an element in it the branch above would have been taken.
      levels.pop();
      isAfterValue = true;
      i++;
      continue;
    }
    if (level?.isArray === false) {
      const end = endOfString(text, i);
      if (end < 0) return { offset: i, path: path().slice(0, -1), wanted: 'name' };
      level.step = JSON.parse(text.slice(i, end)) as string;
      i = skipSpace(text, end);
      if (text[i] !== ':') return fault(i, 'separator');
      i = skipSpace(text, i + 1);
    }
    const opener = text[i];
    if (opener === '{' || opener === '[') {
      levels.push({ isArray: opener === '[', step: opener === '[' ? 0 : '' });
      isAfterValue = false;
      i++;
      continue;
    }
    const end = endOfScalar(text, i);
    if (end < 0) return fault(i, 'value');
    if (isNumber(opener)) onNumber(text.slice(i, end), path);
    isAfterValue = true;
    i = end;
  }
}

const isNumber = (first: string | undefined) => first === '-' || (first !== undefined && first >= '0' && first <= '9');

function skipSpace(text: string, start: number): number {
  let i = start;
  for (;;) {
    const code = text.charCodeAt(i);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return i;
    i++;
  }
}

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** @returns where a string, number or word ends; −1 when there is none or it is malformed */
function endOfScalar(text: string, start: number): number {
  if (text[start] === '"') return endOfString(text, start);
  for (const word of ['null', 'true', 'false']) if (text.startsWith(word, start)) return start + word.length;
  number.lastIndex = start;
  return number.test(text) ? number.lastIndex : -1;
}

const [quote, backslash] = [0x22, 0x5c];
const hexDigits = /[0-9a-fA-F]{4}/y;

/** A loop and no regular expression: one with alternatives would keep a backtracking step for each character. */
function endOfString(text: string, start: number): number {
  if (text.charCodeAt(start) !== quote) return -1;
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === quote) return i + 1;
    if (code < 0x20) return -1;
    if (code !== backslash) continue;
    i++;
    if (text[i] === 'u') {
      hexDigits.lastIndex = i + 1;
      if (!hexDigits.test(text)) return -1;
      i += 4;
    } else if (!'"\\/bfnrt'.includes(text[i] ?? '?')) return -1;
  }
  return -1;
}
