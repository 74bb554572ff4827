import { Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';
import type { Database } from '../../database/database.ts';
import { actorFor } from '../../http/actor.ts';
import type { App } from '../../http/app-type.ts';
import { arrivalOf } from '../../http/arrival.ts';
import { DataIdPath } from '../../http/data-id.ts';
import { readFor } from '../../http/readings.ts';
import { bodyRefusals, refusals } from '../../http/schemas.ts';
import { asRows, sendList } from '../../http/send-list.ts';
import type { RemovalLimits } from '../../streams/deletion-store.ts';
import { distinctIds } from '../ids.ts';
import type { CatalogueLimits } from '../limits.ts';
import { Ok } from '../schemas.ts';
import {
  ChangedIds,
  DataEntry,
  DataEntryChange,
  DataEntryDeletion,
  DataEntryQuery,
  DataEntryRestoration,
  NewSampleLink,
} from './schemas.ts';
import { changeDataEntry, deleteDataEntries, restoreDataEntries, searchDataEntries } from './service.ts';
import { linkPhysicalSample } from './store.ts';

const tags = ['catalogue'];
/** The official spelling of the path ends in a slash; the router takes it without one too. */
const prefixTrailingSlash = 'slash';
// Fastify sends a string unchanged unless it is given a serializer, which makes it JSON.
const json = 'application/json; charset=utf-8';

export interface DataEntryDependencies {
  database: Database;
  idleSeconds: number;
  limits: CatalogueLimits;
  removal: RemovalLimits;
}

export function dataEntryRoutes(app: App, { database, idleSeconds, limits, removal }: DataEntryDependencies): void {
  app.get(
    '/',
    {
      prefixTrailingSlash,
      schema: {
        tags,
        summary: 'Search the catalogue: the entries that pass every filter, newest first',
        querystring: DataEntryQuery(limits),
        response: { 200: Type.Array(DataEntry), ...refusals(422) },
      },
    },
    (request, reply) => {
      const { organization } = readFor(database, request);
      const bounds = { ...limits, idleSeconds };
      const { userId } = request.identity;
      return sendList(reply, asRows(searchDataEntries(organization, userId, request.query, bounds)));
    },
  );

  app.patch(
    '/:data_id',
    {
      schema: {
        tags,
        summary: 'Rename an entry, note something on it, or say of what type it is and how it went',
        params: DataIdPath('the entry'),
        body: DataEntryChange(limits),
        response: { 200: DataEntry, ...refusals(...bodyRefusals, 404) },
      },
    },
    (request) => {
      const organization = database.as(request.identity.organizationId);
      return changeDataEntry(organization, request.params.data_id, request.body, idleSeconds);
    },
  );

  app.post(
    '/physical_sample',
    {
      schema: {
        tags,
        summary: 'Say which physical sample data entries come from, for all of them or none',
        body: NewSampleLink(limits),
        response: { 200: Ok, ...refusals(...bodyRefusals, 404) },
      },
    },
    async (request, reply) => {
      const { data_ids, physical_sample_id } = request.body;
      const organization = database.as(request.identity.organizationId);
      await database.whileAway(arrivalOf(reply), () =>
        linkPhysicalSample(organization, distinctIds(data_ids), physical_sample_id.toLowerCase()),
      );
      return reply.type(json).serializer(JSON.stringify).send('OK');
    },
  );
  deletionRoutes(app, { database, limits, removal });
}

function deletionRoutes(app: App, { database, limits, removal }: Omit<DataEntryDependencies, 'idleSeconds'>): void {
  app.delete(
    '/',
    {
      prefixTrailingSlash,
      schema: {
        tags,
        summary: 'Delete entries, so that they are as if unknown until they are restored, or remove them for good',
        querystring: DataEntryDeletion(limits),
        response: { 200: ChangedIds('the deleted ids'), ...refusals(...bodyRefusals, 404) },
      },
    },
    (request) => deleteDataEntries(forActor(database, request), request.query, removal),
  );

  app.post(
    '/restore',
    {
      config: { scope: 'delete' },
      schema: {
        tags,
        summary: 'Restore deleted entries with all that they held; not those that were removed for good',
        body: DataEntryRestoration(limits),
        response: { 200: ChangedIds('the ids of those that are there now'), ...refusals(...bodyRefusals, 404) },
      },
    },
    (request) => restoreDataEntries(forActor(database, request), request.body.data_ids),
  );
}

/** A handle with the actor, because these changes are written into the audit log. */
const forActor = (database: Database, request: FastifyRequest) =>
  database.as(request.identity.organizationId, undefined, actorFor(request));
