import type { FastifyInstance } from 'fastify';

interface Property {
  type?: string | string[];
  items?: Property;
}

/**
 * Converts query parameters, which are text, to the types of their schema before validation. It accepts what the SDK
 * sends: `True` and `False`, numbers, and a single value for a list. A value that does not fit is left for validation
 * to refuse.
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

/** The spellings of booleans that FastAPI accepts. The SDK was written for a FastAPI server. */
const booleans = new Map<string, boolean>([
  ...['true', '1', 'on', 't', 'yes', 'y'].map((text): [string, boolean] => [text, true]),
  ...['false', '0', 'off', 'f', 'no', 'n'].map((text): [string, boolean] => [text, false]),
]);

const numberPattern = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
