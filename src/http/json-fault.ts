import { clip } from '../errors.ts';
import { type JsonPath, scanJson } from '../lib/json-scan.ts';

/** Common mistakes in hand-written JSON, and for each what to send instead. */
const mistakes: [RegExp, string][] = [
  [/[-+]?(?:nan|inf(?:inity)?)\b/iy, 'JSON has no such number: send null where there is no reading'],
  [/(?:none|undefined|nil|null)\b/iy, 'what is absent is written null'],
  [/(?:true|false)\b/iy, 'truth is written true or false'],
  [/'/y, 'names and texts stand in double quotes'],
  [/[-+.\d]/y, 'a number is written like 0.5, -1 or 1e-9'],
  [/\/[/*]/y, 'JSON has no comments'],
];

/**
 * Explains why a text is not JSON and where: by position and by field. Of the text it echoes only names and one word.
 * @param text a text that `JSON.parse` refuses
 */
export function explainFault(text: string): string {
  const fault = scanJson(text);
  if (fault === undefined) return 'The body is not valid JSON.';
  const { offset, path, wanted } = fault;
  const begin = 'The body is not valid JSON';
  if (offset >= text.length) return `${begin}: it ends too early, at position ${offset}${fieldOf(path)}.`;
  const place = `at position ${offset}${fieldOf(path)}`;
  if (wanted === 'separator') {
    const rule = path.length === 0 ? 'one value is all' : 'a comma, a colon or a closing bracket is missing before it';
    return `${begin} ${place}: ${rule}.`;
  }
  for (const [pattern, advice] of wanted === 'value' ? mistakes : mistakes.slice(3, 4)) {
    pattern.lastIndex = offset;
    const [found] = pattern.exec(text) ?? [];
    if (found !== undefined) return `${begin}: ${found} ${place}; ${advice}.`;
  }
  if (text[offset] === '"') return `${begin}: the text that begins ${place} has a wrong escape or no end.`;
  const isAfterComma = /,\s*$/.test(text.slice(Math.max(0, offset - lookBackLength), offset));
  if (isAfterComma) return `${begin} ${place}: nothing follows a comma.`;
  return `${begin} ${place}: ${wanted === 'name' ? 'a name in double quotes' : 'a value'} must stand there.`;
}

/** How far back a comma is looked for, in characters of white space. */
const lookBackLength = 100;

function fieldOf(path: JsonPath): string {
  return path.length === 0 ? '' : `, in ${clip(showPath(path))}`;
}

/** Writes a path as people do: `channels.p.values[3]`. */
export function showPath(path: JsonPath): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '');
}
