import { type Static, Type } from '@sinclair/typebox';
import type { Database } from '../../database/database.ts';
import type { App } from '../../http/app-type.ts';
import { readFor } from '../../http/readings.ts';
import { bodyRefusals, refusals } from '../../http/schemas.ts';
import { sendList } from '../../http/send-list.ts';
import type { CatalogueLimits } from '../limits.ts';
import { pagesOf } from '../list-pages.ts';
import {
  GrowthInstrument,
  GrowthInstrumentChange,
  GrowthInstrumentIds,
  GrowthInstrumentParams,
  NewGrowthInstrument,
} from './schemas.ts';
import {
  changeGrowthInstrument,
  createGrowthInstrument,
  deleteGrowthInstruments,
  nextGrowthInstruments,
} from './store.ts';

const tags = ['catalogue'];

export function growthInstrumentRoutes(
  app: App,
  { database, limits }: { database: Database; limits: CatalogueLimits },
): void {
  app.get(
    '/',
    {
      schema: {
        tags,
        summary: 'All growth instruments of the organization that are not deleted',
        response: { 200: Type.Array(GrowthInstrument), ...refusals() },
      },
    },
    (request, reply) => {
      const { organization } = readFor(database, request);
      const next = (after: Static<typeof GrowthInstrument> | undefined, countMax: number) =>
        nextGrowthInstruments(organization, after, countMax);
      return sendList(reply, pagesOf(limits.listPageRowsMax, next));
    },
  );

  app.post(
    '/',
    {
      schema: {
        tags,
        summary: 'Create a growth instrument; the same label may be used again',
        body: NewGrowthInstrument,
        response: { 201: GrowthInstrument, ...refusals(...bodyRefusals) },
      },
    },
    async (request, reply) => {
      const { organizationId, userId } = request.identity;
      const instrument = await createGrowthInstrument(database.as(organizationId), userId, request.body);
      return reply.code(201).send(instrument);
    },
  );

  changeRoutes(app, { database, limits });
}

function changeRoutes(app: App, { database, limits }: { database: Database; limits: CatalogueLimits }): void {
  app.patch(
    '/:synth_source_id',
    {
      schema: {
        tags,
        summary: 'Change what is said of a growth instrument: only the fields that are there',
        params: GrowthInstrumentParams,
        body: GrowthInstrumentChange,
        response: { 200: GrowthInstrument, ...refusals(...bodyRefusals, 404) },
      },
    },
    ({ identity, params, body }) =>
      changeGrowthInstrument(database.as(identity.organizationId), params.synth_source_id, body),
  );

  app.delete(
    '/',
    {
      schema: {
        tags,
        summary: 'Delete growth instruments, all or none; what they grew still shows their name',
        querystring: GrowthInstrumentIds(limits),
        response: {
          200: Type.Array(Type.Integer(), { description: 'the deleted ids, ascending' }),
          ...refusals(...bodyRefusals, 404),
        },
      },
    },
    (request) =>
      deleteGrowthInstruments(database.as(request.identity.organizationId), request.query.synthesis_instrument_ids),
  );
}
