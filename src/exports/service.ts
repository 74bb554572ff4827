/** Guarantees: an export holds the streams that were asked for, all of them, and nothing of another organization. */
import type { Static } from '@sinclair/typebox';
import type { Identity } from '../auth/store.ts';
import { DataEntryQuery } from '../catalogue/data-entries/schemas.ts';
import { searchDataEntries } from '../catalogue/data-entries/service.ts';
import { distinctIds, requireAll } from '../catalogue/ids.ts';
import type { Database } from '../database/database.ts';
import { invalid, notFound } from '../errors.ts';
import { describeExport, type Export } from './export.ts';
import type { ExportLimits } from './limits.ts';
import type { ContentQuery, SelectionContentQuery } from './schemas.ts';
import { type ChannelRow, findStreamsToExport, listChannelsToExport, type StreamRow } from './store.ts';

type Content = Static<typeof ContentQuery>;

export interface ExportMeans {
  database: Database;
  limits: ExportLimits;
}

/**
 * One stream.
 * @throws ApiError 404 for a stream that is unknown or of another organization and for a channel that it does not have;
 * 422 for a wide layout of too many channels.
 */
export async function openStreamExport(
  means: ExportMeans,
  { organizationId }: Identity,
  dataId: string,
  content: Content,
): Promise<Export> {
  const streams = await findStreamsToExport(means.database, organizationId, [dataId]);
  if (streams.length === 0) throw notFound('data_id');
  return openExport(means, organizationId, streams, content, false);
}

/**
 * Several streams: those named, or those that pass the filters of the search, newest first, or those named that pass.
 * @throws ApiError 404 that names the first stream that is not there; 404 for a channel that none of them has; 422 for a
 * request that names neither, for too many streams and for a wide layout of too many channels.
 */
export async function openSelectionExport(
  means: ExportMeans & { idleSeconds: number },
  identity: Identity,
  { data_ids, ...query }: Static<typeof SelectionContentQuery>,
): Promise<Export> {
  const { database, limits, idleSeconds } = means;
  const { organizationId } = identity;
  const isFiltered = Object.keys(query).some((name) => name in DataEntryQuery.properties);
  if (data_ids === undefined && !isFiltered) {
    throw invalid(
      ['query', 'data_ids'],
      'say which streams: data_ids, or a filter of the search',
      undefined,
      'missing',
    );
  }
  const named = data_ids === undefined ? undefined : await requireStreams(means, organizationId, data_ids);
  if (!isFiltered) return openExport(means, organizationId, named ?? [], query, true);
  const passed: string[] = [];
  for await (const page of searchDataEntries(
    database,
    identity,
    { ...query, ...(data_ids && { data_ids }) },
    { idleSeconds },
  )) {
    passed.push(...page.map((entry) => entry.data_id));
    limitStreams(passed.length, limits);
  }
  const streams = await findStreamsToExport(
    database,
    organizationId,
    named?.map(idOf).filter((id) => passed.includes(id)) ?? passed,
  );
  return openExport(means, organizationId, streams, query, true);
}

const idOf = (stream: StreamRow) => stream.data_id;

async function requireStreams(
  { database, limits }: ExportMeans,
  organizationId: string,
  dataIds: string[],
): Promise<StreamRow[]> {
  const ids = distinctIds(dataIds);
  limitStreams(ids.length, limits);
  const streams = await findStreamsToExport(database, organizationId, ids);
  requireAll('Data entry', ids, streams.map(idOf));
  return streams;
}

async function openExport(
  { database, limits: { channelsMax, columnsMax } }: ExportMeans,
  organizationId: string,
  streams: StreamRow[],
  { layout = 'long', channel_names }: Content,
  isSelection: boolean,
): Promise<Export> {
  const ids = streams.map(idOf);
  const channels = await listChannelsToExport(database, organizationId, ids, channel_names, channelsMax + 1);
  if (channels.length > channelsMax) throw tooMany('channels', channelsMax);
  const names = [...new Set(channels.map((channel) => channel.channel_name))];
  if (channel_names?.some((name) => !names.includes(name))) throw notFound('channel');
  if (layout === 'wide' && names.length > columnsMax) {
    throw tooMany('different channels in the wide layout', columnsMax);
  }
  const byStream = new Map(ids.map((id): [string, ChannelRow[]] => [id, []]));
  for (const channel of channels) byStream.get(channel.data_id)?.push(channel);
  return describeExport(
    layout,
    isSelection,
    streams.map((stream) => ({ ...stream, channels: byStream.get(stream.data_id) ?? [] })),
  );
}

function limitStreams(count: number, { streamsMax }: ExportLimits): void {
  if (count > streamsMax) throw tooMany('streams', streamsMax);
}

const tooMany = (what: string, max: number) =>
  invalid(['query'], `an export holds at most ${max} ${what}; choose fewer`);
