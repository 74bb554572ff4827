import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { ApiError, clip, type ValidationDetail } from '../errors.ts';
import { fieldString } from '../lib/structured-fields.ts';
import { createNameCheck, type NameCheck, type NamingSchema, type UnknownNames } from './known-names.ts';
import type { HttpLimits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import { isOfficial } from './official-routes.ts';

/**
 * What the result of a route's `readBody` must contain: the names of the original body can be checked only while it is
 * parsed.
 */
export interface ReadBody {
  /** The names that the schema does not have; undefined when there are none. */
  unknownNames: UnknownNames | undefined;
}

type Place = 'query' | 'body';
interface Found {
  place: Place;
  unknown: UnknownNames;
}

interface Options {
  limits: Pick<HttpLimits, 'unknownNamesShownMax'>;
  metrics: Pick<Metrics, 'unknownNames'>;
}

/**
 * Reports every parameter and field that a route does not know. An official route answers as usual and names them in
 * the header `Ignored`. One of our own routes refuses them with 422, except open routes, since some programs add
 * parameters to those by themselves. Both name the known name that was probably meant. Call it before routes are
 * registered.
 */
export function tellUnknownNames(app: FastifyInstance, { limits, metrics }: Options): void {
  app.addHook('onRoute', (route) => {
    const find = createFinder(app, route, limits.unknownNamesShownMax);
    const isStrict = !isOfficial([route.method].flat()[0] as string, route.url) && route.config?.open !== true;
    const check = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => {
      const found = find(request);
      if (found === undefined) return done();
      const outcome = isStrict ? 'refused' : 'ignored';
      for (const { place, unknown } of found) {
        metrics.unknownNames.inc({ route: route.url, place, outcome }, unknown.count);
      }
      const refusal = isStrict ? new ApiError('validation', found.flatMap(detailsOf)) : undefined;
      if (!isStrict) reply.header('ignored', found.map(fieldOf).join(', '));
      done(refusal);
    };
    // The first of the hooks, so that none has changed the request yet.
    route.preValidation = [check, ...[route.preValidation ?? []].flat()];
  });
}

/**
 * @returns a function that finds the unknown names in a request of the route; it returns undefined when there are none
 */
function createFinder(
  app: FastifyInstance,
  route: RouteOptions,
  shownMax: number,
): (request: FastifyRequest) => Found[] | undefined {
  const { querystring, body } = (route.schema ?? {}) as { querystring?: NamingSchema; body?: NamingSchema };
  const bringsChunks = route.config?.readBody !== undefined;
  let checkQuery: NameCheck | undefined;
  let checkBody: NameCheck | undefined;
  // The checks are made at the first request, because only then all schemas that they refer to are registered.
  const make = (schema: NamingSchema | undefined) => createNameCheck(schema, (id) => app.getSchema(id), shownMax);
  return (request) => {
    checkQuery ??= make(querystring);
    const query = checkQuery(request.query);
    let unknown: UnknownNames | undefined;
    if (bringsChunks) unknown = (request.body as Partial<ReadBody> | undefined)?.unknownNames;
    else if (request.body !== undefined) {
      checkBody ??= make(body);
      unknown = checkBody(request.body);
    }
    if (query === undefined && unknown === undefined) return undefined;
    const found: Found[] = [];
    if (query !== undefined) found.push({ place: 'query', unknown: query });
    if (unknown !== undefined) found.push({ place: 'body', unknown });
    return found;
  };
}

/**
 * Writes members of a list of structured fields (RFC 9651): `"unit";in=body;did-you-mean="units"`, then how many more
 * there are.
 */
function fieldOf({ place, unknown: { named, count } }: Found): string {
  const members = named.map(({ path, meant }) => {
    const name = fieldString(clip(path.join('.')) as string);
    return `${name};in=${place}${meant === undefined ? '' : `;did-you-mean=${fieldString(meant)}`}`;
  });
  if (count > named.length) members.push(`more;in=${place};count=${count - named.length}`);
  return members.join(', ');
}

const words = { query: 'a parameter of this route', body: 'a field of this body' };

function detailsOf({ place, unknown: { named, count } }: Found): ValidationDetail[] {
  const details = named.map(({ path, meant }): ValidationDetail => {
    const name = clip(path.at(-1));
    const advice = meant === undefined ? '' : `; did you mean "${meant}"?`;
    return {
      type: 'extra_forbidden',
      loc: [place, ...path.map((step) => clip(step) as string)],
      msg: `"${name}" is not ${words[place]}${advice || '.'}`,
    };
  });
  const more = count - named.length;
  if (more > 0) details.push({ type: 'extra_forbidden', loc: [place], msg: `${more} more names are not known here.` });
  return details;
}
