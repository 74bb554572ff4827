import { closestName } from '../lib/close-name.ts';

/** What of a JSON schema says which names an object may have. */
export interface NamingSchema {
  $ref?: string;
  properties?: Record<string, NamingSchema>;
  additionalProperties?: boolean | NamingSchema;
}

/** A name that a request has and its route does not know. */
export interface UnknownName {
  /** From the outermost object inwards; the name itself is last. */
  path: string[];
  /** The known name that is probably meant. */
  meant: string | undefined;
}

/** The first unknown names of a part of a request, and how many there are. */
export interface UnknownNames {
  named: UnknownName[];
  count: number;
}

/** The names of an object, and what stands behind each: an object with known names too, or anything (`free`). */
interface Shape {
  names: Map<string, Shape | 'free'>;
  /** What stands behind any other name; undefined where another name is not known. */
  others: Shape | 'free' | undefined;
}

/** @returns undefined when all names are known */
export type NameCheck = (value: unknown) => UnknownNames | undefined;

/**
 * Finds the names of an object that its schema does not have. Objects in objects are looked through, arrays are not. It may be
 * given what was not validated.
 * @param schema without one no name is known
 * @param resolve finds a schema by the `$id` that another one refers to
 * @param namedMax names that are told one by one
 */
export function createNameCheck(
  schema: NamingSchema | undefined,
  resolve: (id: string) => unknown,
  namedMax: number,
): NameCheck {
  const shape = shapeOf(schema ?? { properties: {} }, resolve);
  if (shape === undefined) return () => undefined;
  return (value) => {
    // Nearly every request has known names only: finding that makes nothing.
    if (knowsAll(shape, value)) return undefined;
    const found: UnknownNames = { named: [], count: 0 };
    collect(shape, value, [], found, namedMax);
    return found;
  };
}

function shapeOf(schema: NamingSchema, resolve: (id: string) => unknown): Shape | undefined {
  if (schema.$ref !== undefined) return shapeOf(resolve(schema.$ref.replace(/#$/, '')) as NamingSchema, resolve);
  const { properties, additionalProperties } = schema;
  const isMap = typeof additionalProperties === 'object';
  if (properties === undefined && !isMap) return undefined;
  const inside = (one: NamingSchema) => shapeOf(one, resolve) ?? 'free';
  return {
    names: new Map(Object.entries(properties ?? {}).map(([name, one]) => [name, inside(one)])),
    others: isMap ? inside(additionalProperties) : additionalProperties === true ? 'free' : undefined,
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function knowsAll({ names, others }: Shape, value: unknown): boolean {
  if (!isObject(value)) return true;
  for (const name in value) {
    const inside = names.get(name) ?? others;
    if (inside === undefined) return false;
    if (inside !== 'free' && !knowsAll(inside, value[name])) return false;
  }
  return true;
}

function collect(shape: Shape, value: unknown, before: string[], found: UnknownNames, namedMax: number): void {
  if (!isObject(value)) return;
  const { names, others } = shape;
  for (const name in value) {
    const inside = names.get(name) ?? others;
    if (inside === 'free') continue;
    const path = [...before, name];
    if (inside !== undefined) collect(inside, value[name], path, found, namedMax);
    else if (++found.count <= namedMax) found.named.push({ path, meant: closestName(name, names.keys()) });
  }
}
