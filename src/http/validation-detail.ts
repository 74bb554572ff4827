import type { FastifyError } from 'fastify';
import { contract } from '../contract.ts';
import { clip, type ValidationDetail } from '../errors.ts';
import { closestName } from '../lib/close-name.ts';
import { msOfDateTime, parseDateTime } from '../lib/date-time.ts';
import { durationMsPattern } from '../lib/duration.ts';
import { storableTextPattern } from './schemas.ts';

type BrokenRule = NonNullable<FastifyError['validation']>[number];

const contextNames: Record<string, string> = { querystring: 'query', params: 'path', headers: 'header' };

/**
 * Makes the answer for a broken rule of a schema, in FastAPI's form.
 * @param context the part of the request, as Fastify names it; undefined means the body
 * @param part the content of that part, as it was sent
 */
export function toDetail(error: BrokenRule, context: string | undefined, part: unknown): ValidationDetail {
  const steps = error.instancePath.split('/').slice(1).map(unescapePointer);
  const { missingProperty, pattern } = error.params as { missingProperty?: string; pattern?: string };
  // When the name of a field breaks a rule on names, that name is the last step of the path, and the input.
  const { propertyName } = error as { propertyName?: string };
  for (const step of [missingProperty, propertyName]) if (step !== undefined) steps.push(step);
  const { path, value, holder } = follow(part, steps);
  const hint = missingProperty === undefined ? dateTimeHint(error, value) : similarTo(missingProperty, holder);
  return {
    type: error.keyword === 'required' ? 'missing' : error.keyword,
    loc: [contextNames[context ?? ''] ?? context ?? 'body', ...path],
    msg: `${sentence(error, pattern, path.at(-1))}${hint}`,
    input: clip(propertyName ?? value),
  };
}

function sentence(error: BrokenRule, pattern: string | undefined, field: string | number | undefined): string {
  const name = field === undefined ? 'the body' : field === '' ? 'the name ""' : field;
  if (error.keyword === 'required') return 'Field required';
  if (pattern === storableTextPattern) return `${name} must not hold U+0000 or a lone surrogate`;
  if (pattern === durationMsPattern) return `${name} is such as 250ms, 1s, 5m, 2h or 1d`;
  return `${name} ${error.message ?? 'is not valid'}`;
}

/** The hint for a date-time that was sent where Unix seconds are expected. */
function dateTimeHint({ keyword, params }: BrokenRule, value: unknown): string {
  const types = [params.type].flat();
  if (keyword !== 'type' || typeof value !== 'string' || !types.includes('number')) return '';
  const dateTime = parseDateTime(value);
  if (dateTime === undefined) return '';
  return `, and no date-time: ${clip(value)} is ${msOfDateTime(dateTime) / 1_000} in Unix seconds`;
}

/** The hint for a missing name when a similar one was sent. No two names of one schema are so similar to each other. */
function similarTo(missing: string, holder: unknown): string {
  const names = typeof holder === 'object' && holder !== null && !Array.isArray(holder) ? Object.keys(holder) : [];
  const mistyped = names.slice(0, namesComparedMax).find((name) => name !== missing && closestName(name, [missing]));
  return mistyped === undefined ? '' : `; was it meant by "${clip(mistyped)}"?`;
}

/** Names that are compared. It is enough for every schema, while an object of a client may have thousands of names. */
const namesComparedMax = 50;

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

/**
 * Finds the wrong field: its value, the object or array that holds it, and its path for the answer, with numbers for
 * array indices.
 */
function follow(part: unknown, steps: string[]): { path: (string | number)[]; value: unknown; holder: unknown } {
  let value = part;
  let holder: unknown;
  const path = steps.map((step) => {
    holder = value;
    const isIndex = Array.isArray(value);
    const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, step);
    value = isThere ? (value as Record<string, unknown>)[step] : undefined;
    return isIndex ? Number(step) : showName(step);
  });
  return { path, value, holder };
}

/** Shows names of an allowed length as a whole, so that they can be searched for. Longer ones are cut. */
function showName(name: string): string {
  return name.length > contract.channelNameLengthMax
    ? `${name.slice(0, contract.channelNameLengthMax)}…`.toWellFormed()
    : name.toWellFormed();
}
