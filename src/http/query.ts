import type { FastifyInstance } from 'fastify';

interface Property {
  type?: string | string[];
  items?: Property;
}

/**
 * Query strings are text; before validation each one becomes what its schema says, the way the SDK writes it:
 * `True` and `False`, numbers, and one value where a list may stand. What does not fit is left for validation to refuse.
 */
export function coerceQueries(app: FastifyInstance): void {
  app.addHook('preValidation', (request, _reply, done) => {
    const schema = request.routeOptions.schema?.querystring as { properties?: Record<string, Property> } | undefined;
    if (schema?.properties === undefined) return done();
    const query = request.query as Record<string, unknown>;
    for (const [name, property] of Object.entries(schema.properties)) {
      if (Object.hasOwn(query, name)) query[name] = coerce(query[name], property);
    }
    done();
  });
}

function coerce(value: unknown, property: Property): unknown {
  if (property.type === 'array') {
    const list = Array.isArray(value) ? value : [value];
    return list.map((one) => coerce(one, property.items ?? {}));
  }
  if (typeof value !== 'string') return value;
  if (property.type === 'boolean') return booleans.get(value.toLowerCase()) ?? value;
  if (property.type === 'integer' || property.type === 'number')
    return numberPattern.test(value) ? Number(value) : value;
  return value;
}

/** The spellings that FastAPI, whose clients we serve, takes for a boolean. */
const booleans = new Map<string, boolean>([
  ...['true', '1', 'on', 't', 'yes', 'y'].map((text): [string, boolean] => [text, true]),
  ...['false', '0', 'off', 'f', 'no', 'n'].map((text): [string, boolean] => [text, false]),
]);

const numberPattern = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
