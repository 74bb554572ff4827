import type { FastifyReply } from 'fastify';
import type { Database } from '../database/database.ts';
import { ApiError } from '../errors.ts';
import type { App } from '../http/app-type.ts';
import { DataIdPath } from '../http/data-id.ts';
import { httpLimits } from '../http/limits.ts';
import { readFor } from '../http/readings.ts';
import { refusals } from '../http/schemas.ts';
import { sendPieces } from '../http/send-pieces.ts';
import type { PlausibleTimes } from '../lib/time-unit.ts';
import { type PointLimits, pointLimits } from '../points/limits.ts';
import type { ReadDependencies } from '../points/read.ts';
import { windowOf } from '../points/selection.ts';
import { rheedAnswer, timeseriesAnswer } from './answers.ts';
import { type TimeseriesLimits, timeseriesLimits } from './limits.ts';
import { openRawRead, rawAnswer } from './raw-points.ts';
import { reservedNames, reservedRheedNames } from './reserved-channel-names.ts';
import {
  MetrologyAnswer,
  PointsAnswer,
  PointsQuery,
  RheedAnswer,
  RheedQuery,
  StagedAnswer,
  StatisticsAnswer,
  StatisticsQuery,
  TimeseriesQuery,
  ToolStateAnswer,
} from './schemas.ts';
import { stagedAnswer } from './staged.ts';
import { statisticsAnswer } from './statistics-answer.ts';
import { findSystem } from './store.ts';
import { openStreamRead, type ReadLimits } from './stream-read.ts';
import { toSelection } from './timeseries-selection.ts';

/**
 * The routes that read a stream back: by property, by row, for the SDK's polling, and raw. Answers are streamed. An error
 * before the first byte is a normal error response. An error after it destroys the socket, so that a cut answer never looks
 * complete.
 */
export function timeseriesRoutes(app: App, { database, limits, onLacking }: TimeseriesDependencies): void {
  const deps: TimeseriesRouteDependencies = {
    database,
    onLacking,
    limits: {
      points: { ...pointLimits, ...limits?.points },
      timeseries: { ...timeseriesLimits, ...limits?.timeseries },
    },
    plausible: { ...httpLimits, ...limits?.http },
  };
  timeseriesRoute(app, deps, '/tool-state', ToolStateAnswer);
  timeseriesRoute(app, deps, '/metrology', MetrologyAnswer);
  rheedRoute(app, deps);
  statisticsRoute(app, deps, '/tool-state');
  statisticsRoute(app, deps, '/metrology');
  pointsRoute(app, deps, '/tool-state');
  pointsRoute(app, deps, '/metrology');
  stagedRoute(app, deps);
}

interface TimeseriesRouteDependencies {
  database: Database;
  limits: ReadLimits;
  onLacking: ReadDependencies['onLacking'];
  plausible: PlausibleTimes;
}

export interface TimeseriesDependencies {
  database: Database;
  /** Is called with a channel whose overview lacks many blocks. */
  onLacking?: ReadDependencies['onLacking'];
  limits?:
    | {
        points?: Partial<PointLimits> | undefined;
        timeseries?: Partial<TimeseriesLimits> | undefined;
        http?: Partial<PlausibleTimes> | undefined;
      }
    | undefined;
}

function timeseriesRoute(
  app: App,
  deps: TimeseriesRouteDependencies,
  prefix: '/tool-state' | '/metrology',
  answer: typeof ToolStateAnswer,
): void {
  const withSeries = prefix === '/metrology';
  app.get(
    `${prefix}/:data_id/timeseries/`,
    {
      schema: {
        summary: `Read a stream by property${withSeries ? ' and by row' : ''}`,
        tags: ['time series'],
        params: DataIdPath('the stream'),
        querystring: TimeseriesQuery(deps.limits.timeseries),
        response: { 200: answer, ...refusals(400, 404, 422) },
      },
    },
    async (request, reply) => {
      const { available_properties: namesOnly = false, return_null_if_missing: orNull, ...query } = request.query;
      const selection = toSelection(query, deps.plausible);
      const { organization, reading } = readFor(deps.database, request);
      const dataId = request.params.data_id;
      try {
        const read = await openStreamRead(organization, dataId, reservedNames, deps.limits, reading, deps.onLacking);
        return sendPieces(reply, timeseriesAnswer(read, selection, { withSeries, namesOnly }));
      } catch (error) {
        if (orNull && error instanceof ApiError && error.status === 404) return sendNull(reply);
        throw error;
      }
    },
  );
}

function statisticsRoute(app: App, deps: TimeseriesRouteDependencies, prefix: string): void {
  app.get(
    `${prefix}/:data_id/statistics/`,
    {
      schema: {
        summary: 'Mean, standard deviation and extremes of each property in a window',
        tags: ['time series'],
        params: DataIdPath('the stream'),
        querystring: StatisticsQuery,
        response: { 200: StatisticsAnswer, ...refusals(400, 404, 422) },
      },
    },
    async (request) => {
      const { property_names, ...window } = request.query;
      const { organization, reading } = readFor(deps.database, request);
      const dataId = request.params.data_id;
      const read = await openStreamRead(organization, dataId, reservedNames, deps.limits, reading, deps.onLacking);
      return statisticsAnswer(read, {
        ...windowOf(window, deps.plausible),
        ...(property_names !== undefined && { property_names }),
      });
    },
  );
}

function rheedRoute(app: App, deps: TimeseriesRouteDependencies): void {
  app.get(
    '/rheed/timeseries/:data_id/',
    {
      schema: {
        summary: "Read a stream by row, in the shape that the SDK's polling asks for",
        tags: ['time series'],
        params: DataIdPath('the stream'),
        querystring: RheedQuery,
        response: { 200: RheedAnswer, ...refusals(400, 404, 422) },
      },
    },
    async (request, reply) => {
      const { organization, reading } = readFor(deps.database, request);
      const names = reservedRheedNames;
      const read = await openStreamRead(
        organization,
        request.params.data_id,
        names,
        deps.limits,
        reading,
        deps.onLacking,
      );
      return sendPieces(reply, rheedAnswer(read, request.query));
    },
  );
}

function stagedRoute(app: App, deps: TimeseriesRouteDependencies): void {
  app.get(
    '/data_entries/raw_data/staged/timeseries/:data_id',
    {
      schema: {
        summary: 'Read a stream by channel, in the shape of a staged upload',
        tags: ['time series'],
        params: DataIdPath('the stream'),
        response: { 200: StagedAnswer, ...refusals(400, 404, 422) },
      },
    },
    async (request, reply) => {
      const { organization, reading } = readFor(deps.database, request);
      const read = await openStreamRead(organization, request.params.data_id, new Set(), deps.limits, reading);
      return sendPieces(reply, stagedAnswer(read, await findSystem(organization, read.dataId)));
    },
  );
}

function pointsRoute(app: App, deps: TimeseriesRouteDependencies, prefix: string): void {
  app.get(
    `${prefix}/:data_id/points/`,
    {
      schema: {
        summary: 'Read the stored chunks of a channel as they were sent',
        tags: ['time series'],
        params: DataIdPath('the stream'),
        querystring: PointsQuery,
        response: { 200: PointsAnswer, ...refusals(400, 404, 422) },
      },
    },
    async (request, reply) => {
      const { organization, reading } = readFor(deps.database, request);
      const { points } = deps.limits;
      const read = await openRawRead(organization, request.params.data_id, request.query, points, reading);
      return sendPieces(reply, rawAnswer(read));
    },
  );
}

/** Sends JSON's null. It is a Buffer so that it is not serialised again. */
function sendNull(reply: FastifyReply): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(Buffer.from('null'));
}
