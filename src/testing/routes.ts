import { type Static, Type } from '@sinclair/typebox';
import { invalid } from '../errors.ts';
import type { App } from '../http/app-type.ts';
import { coerceQueries } from '../http/query.ts';
import { ErrorAnswer, Nullable, refer } from '../http/schemas.ts';
import type { TestingLimits } from './limits.ts';
import type { TestMode } from './mode.ts';
import {
  Clock,
  ClockBody,
  Fault,
  FaultBody,
  JournalAnswer,
  JournalQuery,
  MadeOrganization,
  OrganizationBody,
} from './schemas.ts';

const waitSecondsDefault = 5;
/** Without keys, so without the answers for a refused key. */
const Invalid = Type.Unsafe<unknown>({
  $ref: 'ValidationError#',
  description: 'the request is not valid; nothing was done',
});
const bodyRefusals = { 400: ErrorAnswer, 413: ErrorAnswer, 415: ErrorAnswer, 422: Invalid };
const Done = Type.Null({ description: 'done' });
const FaultParams = Type.Object({ id: Type.String({ pattern: '^[1-9][0-9]{0,14}$', description: 'of the rule' }) });

/** The routes that control the test mode. They need no key, because the server listens only on loopback. */
export function controlRoutes(app: App, mode: TestMode, limits: TestingLimits): void {
  for (const schema of [FaultBody, Fault, JournalAnswer, Clock, MadeOrganization]) app.addSchema(schema);
  coerceQueries(app);
  organizationRoutes(app, mode);
  faultRoutes(app, mode);
  journalRoutes(app, mode, limits);
  clockRoutes(app, mode);
}

function organizationRoutes(app: App, mode: TestMode): void {
  app.post(
    '/organizations',
    {
      config: { open: true },
      schema: {
        tags: ['server'],
        summary: 'Make an organization with a key: a test that has its own sees nothing of others',
        body: Nullable(OrganizationBody),
        response: { 201: refer(MadeOrganization), ...bodyRefusals },
      },
    },
    async (request, reply) => reply.code(201).send(await mode.newOrganization(request.body ?? {})),
  );
  app.post(
    '/reset',
    {
      config: { open: true },
      schema: {
        tags: ['server'],
        summary:
          'Empty everything: data, organizations, faults, requests, clock, dice. The first organization and its key are ' +
          'there again; connections are cut',
        response: { 200: refer(MadeOrganization) },
      },
    },
    async () => {
      await mode.reset();
      return mode.first();
    },
  );
}

function faultRoutes(app: App, { faults }: TestMode): void {
  const tags = ['faults'];
  const config = { open: true };
  app.post(
    '/faults',
    {
      config,
      schema: {
        tags,
        summary: 'Make a rule by which the server misbehaves',
        body: refer(FaultBody),
        response: { 201: refer(Fault), ...bodyRefusals, 409: ErrorAnswer },
      },
    },
    async (request, reply) => reply.code(201).send(faults.add(request.body)),
  );
  app.get(
    '/faults',
    {
      config,
      schema: { tags, summary: 'The rules, and how often each was hit', response: { 200: Type.Array(refer(Fault)) } },
    },
    async () => faults.list(),
  );
  app.delete(
    '/faults',
    { config, schema: { tags, summary: 'Remove all rules', response: { 204: Done } } },
    async (_request, reply) => {
      faults.clear();
      return reply.code(204).send(null);
    },
  );
  app.delete(
    '/faults/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Remove a rule',
        params: FaultParams,
        response: { 204: Done, 404: ErrorAnswer, 422: Invalid },
      },
    },
    async (request, reply) => {
      faults.remove(Number(request.params.id));
      return reply.code(204).send(null);
    },
  );
}

function journalRoutes(app: App, { journal }: TestMode, { waitSecondsMax }: TestingLimits): void {
  const tags = ['requests'];
  const config = { open: true };
  app.get(
    '/requests',
    {
      config,
      schema: {
        tags,
        summary: 'What has arrived, in order; with `count`, as soon as so many have',
        querystring: JournalQuery,
        response: { 200: refer(JournalAnswer), 422: Invalid },
      },
    },
    async (request, reply) => {
      const { query } = request;
      const waitSeconds = query.wait_s ?? Math.min(waitSecondsDefault, waitSecondsMax);
      if (waitSeconds > waitSecondsMax) {
        throw invalid(['query', 'wait_s'], `at most ${waitSecondsMax} s (waitSecondsMax)`, waitSeconds);
      }
      if (query.count !== undefined) {
        const gone = new AbortController();
        reply.raw.once('close', () => gone.abort());
        await journal.wait(query, waitSeconds * 1_000, gone.signal);
      }
      const requests = journal.find(query);
      const has_count = requests.length >= (query.count ?? 0);
      const answer: Static<typeof JournalAnswer> = { requests, dropped: journal.dropped(), has_count };
      // Serialised as it is: a schema would drop all fields of a body that it does not name.
      return reply.type('application/json; charset=utf-8').serializer(exactJson).send(answer);
    },
  );
  app.delete(
    '/requests',
    { config, schema: { tags, summary: 'Forget what has arrived', response: { 204: Done } } },
    async (_request, reply) => {
      journal.clear();
      return reply.code(204).send(null);
    },
  );
}

function clockRoutes(app: App, mode: TestMode): void {
  const tags = ['clock'];
  const config = { open: true };
  app.get(
    '/clock',
    { config, schema: { tags, summary: 'What time it is for the server', response: { 200: refer(Clock) } } },
    async () => mode.clockNow(),
  );
  app.post(
    '/clock',
    {
      config,
      schema: {
        tags,
        summary: "Move the server's time, and PostgreSQL's; it runs on from there",
        body: ClockBody,
        response: { 200: refer(Clock), ...bodyRefusals },
      },
    },
    async (request) => mode.moveClock(request.body),
  );
}

/** JSON.stringify would turn −0, which is a valid reading, into 0. */
function exactJson(answer: unknown): string {
  const mark = '\u0001-0';
  const text = JSON.stringify(answer, (_name, value) => (Object.is(value, -0) ? mark : value));
  return text.replaceAll(JSON.stringify(mark), '-0.0');
}
