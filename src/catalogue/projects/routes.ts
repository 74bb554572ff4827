import { Type } from '@sinclair/typebox';
import type { Database } from '../../database/database.ts';
import type { App } from '../../http/app-type.ts';
import { arrivalOf } from '../../http/arrival.ts';
import { readFor } from '../../http/readings.ts';
import { bodyRefusals, refusals } from '../../http/schemas.ts';
import { sendList } from '../../http/send-list.ts';
import type { CatalogueLimits } from '../limits.ts';
import { PhysicalSampleRow } from '../physical-samples/schemas.ts';
import { listPhysicalSamples } from '../physical-samples/service.ts';
import { Ok } from '../schemas.ts';
import {
  NewConfiguration,
  NewProject,
  NewTrackingSample,
  Project,
  ProjectConfiguration,
  ProjectParams,
} from './schemas.ts';
import { deleteProject, getProject, listProjects, replaceConfiguration, trackSample } from './service.ts';
import { createProject } from './store.ts';

const tags = ['catalogue'];
/** The official spelling of the path ends in a slash; the router takes it without one too. */
const prefixTrailingSlash = 'slash';
// Fastify sends a string unchanged unless it is given a serializer, which makes it JSON.
const json = 'application/json; charset=utf-8';

interface ProjectDependencies {
  database: Database;
  limits: CatalogueLimits;
}

export function projectRoutes(app: App, deps: ProjectDependencies): void {
  const { database, limits } = deps;
  app.get(
    '/',
    {
      prefixTrailingSlash,
      schema: {
        tags,
        summary: 'All projects of the organization, newest first',
        response: { 200: Type.Array(Project), ...refusals() },
      },
    },
    (request, reply) =>
      database.whileAway(arrivalOf(reply), () =>
        sendList(reply, listProjects(readFor(database, request).organization, limits)),
      ),
  );

  app.post(
    '/',
    {
      prefixTrailingSlash,
      schema: {
        tags,
        summary: 'Create a project, or find the one of that name',
        body: NewProject,
        response: {
          200: Type.Object(Project.properties, { description: 'the project that already has this name' }),
          201: Type.Object(Project.properties, { description: 'the new project' }),
          ...refusals(...bodyRefusals),
        },
      },
    },
    async (request, reply) => {
      const { organizationId, userId } = request.identity;
      const project = await createProject(database.as(organizationId), userId, request.body.name);
      return reply.code(project.is_new ? 201 : 200).send(project);
    },
  );

  app.get(
    '/:project_id/physical_samples',
    {
      schema: {
        tags,
        summary: 'The physical samples of a project, newest first',
        params: ProjectParams,
        response: { 200: Type.Array(PhysicalSampleRow), ...refusals(400, 404, 422) },
      },
    },
    async (request, reply) => {
      const { organization } = readFor(database, request);
      const { id } = await getProject(organization, request.params.project_id);
      return sendList(reply, listPhysicalSamples(organization, { project_id: id }, limits));
    },
  );

  app.delete(
    '/:project_id',
    {
      schema: {
        tags,
        summary: 'Delete a project; its samples and streams stay, and belong to it no more',
        params: ProjectParams,
        response: { 200: Ok, ...refusals(...bodyRefusals, 404) },
      },
    },
    async (request, reply) => {
      await deleteProject(database.as(request.identity.organizationId), request.params.project_id, limits);
      return reply.type(json).serializer(JSON.stringify).send('OK');
    },
  );
  configurationRoutes(app, deps);
}

function configurationRoutes(app: App, { database, limits }: ProjectDependencies): void {
  app.get(
    '/:project_id/configuration',
    {
      schema: {
        tags,
        summary: "A project's configuration and the samples that it tracks",
        params: ProjectParams,
        response: { 200: ProjectConfiguration, ...refusals(400, 404, 422) },
      },
    },
    async (request) =>
      (await getProject(readFor(database, request).organization, request.params.project_id)).configuration,
  );

  app.post(
    '/:project_id/configuration',
    {
      config: { keepsDocument: true },
      schema: {
        tags,
        summary: "Replace a project's configuration object (older SDKs track a sample by it)",
        params: ProjectParams,
        body: NewConfiguration,
        response: { 200: Ok, ...refusals(...bodyRefusals, 404) },
      },
    },
    async (request, reply) => {
      const { identity, params, body } = request;
      await database.whileAway(arrivalOf(reply), () =>
        replaceConfiguration(database.as(identity.organizationId), params.project_id, body, limits),
      );
      return reply.type(json).serializer(JSON.stringify).send('OK');
    },
  );

  app.post(
    '/:project_id/configuration/tracking_samples',
    {
      schema: {
        tags,
        summary: 'Add a physical sample to the project and track it',
        params: ProjectParams,
        body: NewTrackingSample,
        response: { 200: Ok, ...refusals(...bodyRefusals, 404, 409) },
      },
    },
    async (request, reply) => {
      const { identity, params, body } = request;
      await database.whileAway(arrivalOf(reply), () =>
        trackSample(database.as(identity.organizationId), params.project_id, body, limits),
      );
      return reply.type(json).serializer(JSON.stringify).send('OK');
    },
  );
}
