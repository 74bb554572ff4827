import { Type } from '@sinclair/typebox';
import type { Database } from '../../database/database.ts';
import type { App } from '../../http/app-type.ts';
import { arrivalOf } from '../../http/arrival.ts';
import { readFor } from '../../http/readings.ts';
import { bodyRefusals, refusals } from '../../http/schemas.ts';
import { sendList } from '../../http/send-list.ts';
import type { CatalogueLimits } from '../limits.ts';
import {
  NewPhysicalSample,
  PhysicalSample,
  PhysicalSampleChange,
  PhysicalSampleParams,
  PhysicalSampleQuery,
  PhysicalSampleRow,
  SampleInstrument,
  SampleTimeseries,
} from './schemas.ts';
import {
  assignInstrument,
  changePhysicalSample,
  createOrFindPhysicalSample,
  listPhysicalSamples,
  sampleTimeseries,
} from './service.ts';

const tags = ['catalogue'];
/** The official spelling of the path ends in a slash; the router takes it without one too. */
const prefixTrailingSlash = 'slash';

interface SampleDependencies {
  database: Database;
  limits: CatalogueLimits;
}

export function physicalSampleRoutes(app: App, deps: SampleDependencies): void {
  const { database, limits } = deps;
  app.get(
    '/',
    {
      prefixTrailingSlash,
      schema: {
        tags,
        summary: 'All physical samples of the organization, newest first',
        querystring: PhysicalSampleQuery,
        response: { 200: Type.Array(PhysicalSampleRow), ...refusals(422) },
      },
    },
    (request, reply) =>
      database.whileAway(arrivalOf(reply), () =>
        sendList(reply, listPhysicalSamples(readFor(database, request).organization, request.query, limits)),
      ),
  );

  app.post(
    '/',
    {
      prefixTrailingSlash,
      config: { keepsDocument: true },
      schema: {
        tags,
        summary: 'Create a physical sample, or find the one of that name, which stays as it is',
        body: NewPhysicalSample,
        response: { 200: PhysicalSample, ...refusals(...bodyRefusals, 404) },
      },
    },
    (request, reply) => {
      const { organizationId, userId } = request.identity;
      return database.whileAway(arrivalOf(reply), () =>
        createOrFindPhysicalSample(database.as(organizationId), userId, request.body, limits),
      );
    },
  );

  app.get(
    '/:physical_sample_id/timeseries/',
    {
      schema: {
        tags,
        summary: 'Computed properties of a physical sample: none',
        params: PhysicalSampleParams,
        response: { 200: SampleTimeseries, ...refusals(400, 404, 422) },
      },
    },
    (request) => sampleTimeseries(readFor(database, request).organization, request.params.physical_sample_id),
  );
  changeRoutes(app, deps);
}

function changeRoutes(app: App, { database, limits }: SampleDependencies): void {
  app.patch(
    '/:physical_sample_id',
    {
      config: { keepsDocument: true },
      schema: {
        tags,
        summary: 'Change what is said of a physical sample: only the fields that are there',
        params: PhysicalSampleParams,
        body: PhysicalSampleChange,
        response: { 200: PhysicalSample, ...refusals(...bodyRefusals, 404, 409) },
      },
    },
    ({ identity, params, body }) =>
      changePhysicalSample(database.as(identity.organizationId), params.physical_sample_id, body, limits),
  );

  app.patch(
    '/:physical_sample_id/growth_instrument',
    {
      schema: {
        tags,
        summary: 'Say which growth instrument made a physical sample',
        params: PhysicalSampleParams,
        body: SampleInstrument,
        response: { 200: PhysicalSample, ...refusals(...bodyRefusals, 404) },
      },
    },
    ({ identity, params, body }) =>
      assignInstrument(database.as(identity.organizationId), params.physical_sample_id, body.growth_instrument_id),
  );
}
