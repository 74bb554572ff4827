import { closestName } from '../lib/close-name.ts';

/** The parts of a JSON schema that say which names an object may have. */
export interface NamingSchema {
  $ref?: string;
  properties?: Record<string, NamingSchema>;
  additionalProperties?: boolean | NamingSchema;
}

/** A name in a request that its route does not know. */
export interface UnknownName {
  /** From the outermost object inwards; the name itself is last. */
  path: string[];
  /** The known name that is probably meant. */
  meant: string | undefined;
}

/** The first unknown names of a part of a request, and the count of all. */
export interface UnknownNames {
  named: UnknownName[];
  count: number;
}

/**
 * The known names of an object, each with the shape of its value: again an object with known names, or anything
 * (`free`).
 */
interface Shape {
  names: Map<string, Shape | 'free'>;
  /** The shape of the value under any other name; undefined when other names are unknown names. */
  others: Shape | 'free' | undefined;
}

/** @returns undefined when all names are known */
export type NameCheck = (value: unknown) => UnknownNames | undefined;

/**
 * Finds the names of an object that its schema does not have. It looks into nested objects, but not into arrays. The
 * value need not be validated.
 * @param schema without it no name is known
 * @param resolve finds a schema by the `$id` to which another one refers
 * @param namedMax how many unknown names are listed; more are only counted
 */
export function createNameCheck(
  schema: NamingSchema | undefined,
  resolve: (id: string) => unknown,
  namedMax: number,
): NameCheck {
  const shape = shapeOf(schema ?? { properties: {} }, resolve);
  if (shape === undefined) return () => undefined;
  return (value) => {
    // The fast path: nearly every request has known names only, and this check allocates nothing.
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
