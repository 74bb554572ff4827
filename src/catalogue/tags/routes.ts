import { Type } from '@sinclair/typebox';
import type { Database } from '../../database/database.ts';
import type { App } from '../../http/app-type.ts';
import { arrivalOf } from '../../http/arrival.ts';
import { readFor } from '../../http/readings.ts';
import { bodyRefusals, refusals } from '../../http/schemas.ts';
import { sendList } from '../../http/send-list.ts';
import type { CatalogueLimits } from '../limits.ts';
import { NewTag, NewTagLinks, RemovedTagLinks, Tag, TagLinks, TagLinksToRemove } from './schemas.ts';
import { createOrFindTag, linkTags, listTags, unlinkTags } from './service.ts';

const tags = ['catalogue'];
/** The official spelling of the path ends in a slash; the router takes it without one too. */
const prefixTrailingSlash = 'slash';

export function tagRoutes(app: App, { database, limits }: { database: Database; limits: CatalogueLimits }): void {
  app.get(
    '/',
    {
      prefixTrailingSlash,
      schema: { tags, summary: 'All tags of the organization', response: { 200: Type.Array(Tag), ...refusals() } },
    },
    (request, reply) =>
      database.whileAway(arrivalOf(reply), () =>
        sendList(reply, listTags(readFor(database, request).organization, limits)),
      ),
  );

  app.post(
    '/',
    {
      prefixTrailingSlash,
      schema: {
        tags,
        summary: 'Create a tag, or find the one of that name',
        body: NewTag,
        response: {
          200: Type.Object(Tag.properties, { description: 'the tag that already has this name' }),
          201: Type.Object(Tag.properties, { description: 'the new tag' }),
          ...refusals(...bodyRefusals),
        },
      },
    },
    async (request, reply) => {
      const { organizationId, userId } = request.identity;
      const { tag, isNew } = await database.whileAway(arrivalOf(reply), () =>
        createOrFindTag(database.as(organizationId), userId, request.body.name),
      );
      return reply.code(isNew ? 201 : 200).send(tag);
    },
  );

  app.post(
    '/data-items/',
    {
      schema: {
        tags,
        summary: 'Put tags on data entries: every tag on every entry, or nothing when one id is unknown',
        body: NewTagLinks(limits),
        response: { 200: TagLinks, ...refusals(...bodyRefusals, 404, 409) },
      },
    },
    async (request, reply) => {
      const created = await database.whileAway(arrivalOf(reply), () =>
        linkTags(database.as(request.identity.organizationId), request.body, limits),
      );
      return { success: true as const, associations_created: created };
    },
  );

  app.delete(
    '/data-items/',
    {
      prefixTrailingSlash,
      // Tags that were taken off can be put on again, so this needs the scope of a change and not of a deletion.
      config: { scope: 'write' },
      schema: {
        tags,
        summary: 'Take tags off data entries: every tag off every entry, or nothing when one id is unknown',
        querystring: TagLinksToRemove(limits),
        response: { 200: RemovedTagLinks, ...refusals(...bodyRefusals, 404) },
      },
    },
    async (request, reply) => {
      const removed = await database.whileAway(arrivalOf(reply), () =>
        unlinkTags(database.as(request.identity.organizationId), request.query, limits),
      );
      return { success: true as const, associations_removed: removed };
    },
  );
}
