import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { ApiError, clip, type ValidationDetail } from '../errors.ts';
import { fieldString } from '../lib/structured-fields.ts';
import { createNameCheck, type NameCheck, type NamingSchema, type UnknownNames } from './known-names.ts';
import type { HttpLimits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import { isOfficial } from './official-routes.ts';

/** What the body of a route with a `readBody` tells of itself, since it does not stay what was sent. */
export interface ReadBody {
  /** The names that its schema does not have. */
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
 * No parameter and no field that a route does not know is dropped in silence. An official route answers as ever and names them in the
 * header `Ignored`; an own one refuses them with 422, but for the open ones, which machines ask that add parameters of their own
 * accord. Both tell which known name is probably meant. Call it before routes are registered.
 */
export function tellUnknownNames(app: FastifyInstance, { limits, metrics }: Options): void {
  app.addHook('onRoute', (route) => {
    const find = createFinder(app, route, limits.unknownNamesShownMax);
    const isStrict = !isOfficial([route.method].flat()[0] as string, route.url) && route.config?.open !== true;
    const tell = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => {
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
    // First, so that what is read from the request has not been changed yet.
    route.preValidation = [tell, ...[route.preValidation ?? []].flat()];
  });
}

/** @returns what finds the unknown names of a request of a route; nothing, when there are none */
function createFinder(
  app: FastifyInstance,
  route: RouteOptions,
  shownMax: number,
): (request: FastifyRequest) => Found[] | undefined {
  const { querystring, body } = (route.schema ?? {}) as { querystring?: NamingSchema; body?: NamingSchema };
  const bringsChunks = route.config?.readBody !== undefined;
  let checkQuery: NameCheck | undefined;
  let checkBody: NameCheck | undefined;
  // At the first request: schemas that are referred to are all known then.
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

/** As members of a list of structured fields (RFC 9651): `"unit";in=body;did-you-mean="units"`; then how many more there are. */
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
