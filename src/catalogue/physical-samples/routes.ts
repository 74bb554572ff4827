import { Type } from '@sinclair/typebox';
import type { Database } from '../../database/database.ts';
import type { App } from '../../http/app-type.ts';
import { arrivalOf } from '../../http/arrival.ts';
import { bodyRefusals, refusals } from '../../http/schemas.ts';
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
import { assignInstrument, changePhysicalSample, createOrFindPhysicalSample, sampleTimeseries } from './service.ts';
import { listPhysicalSamples } from './store.ts';

const tags = ['catalogue'];
/** The official spelling of the path ends in a slash; the router takes it without one too. */
const prefixTrailingSlash = 'slash';

export function physicalSampleRoutes(app: App, { database }: { database: Database }): void {
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
        listPhysicalSamples(database, request.identity.organizationId, request.query),
      ),
  );

  app.post(
    '/',
    {
      prefixTrailingSlash,
      schema: {
        tags,
        summary: 'Create a physical sample, or find the one of that name, which stays as it is',
        body: NewPhysicalSample,
        response: { 200: PhysicalSample, ...refusals(...bodyRefusals, 404) },
      },
    },
    (request, reply) =>
      database.whileAway(arrivalOf(reply), () => createOrFindPhysicalSample(database, request.identity, request.body)),
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
    (request) => sampleTimeseries(database, request.identity.organizationId, request.params.physical_sample_id),
  );
  changeRoutes(app, database);
}

function changeRoutes(app: App, database: Database): void {
  app.patch(
    '/:physical_sample_id',
    {
      schema: {
        tags,
        summary: 'Change what is said of a physical sample: only the fields that are there',
        params: PhysicalSampleParams,
        body: PhysicalSampleChange,
        response: { 200: PhysicalSample, ...refusals(...bodyRefusals, 404, 409) },
      },
    },
    ({ identity, params, body }) =>
      changePhysicalSample(database, identity.organizationId, params.physical_sample_id, body),
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
      assignInstrument(database, identity.organizationId, params.physical_sample_id, body.growth_instrument_id),
  );
}
