/** Guarantees: an export holds all the streams that were asked for, and nothing of another organization. */
import type { Static } from '@sinclair/typebox';
import { type SearchOptions, searchDataEntries } from '../catalogue/data-entries/service.ts';
import { distinctIds, requireAll } from '../catalogue/ids.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { invalid, notFound } from '../errors.ts';
import type { PlausibleTimes } from '../lib/time-unit.ts';
import { windowOf } from '../points/selection.ts';
import { describeExport, type Export, type ExportedStream } from './export.ts';
import { gridOf, gridRows, requireFewRows, type Window } from './grid.ts';
import type { ExportLimits } from './limits.ts';
import { type ContentQuery, isContentField, type SelectionContentQuery } from './schemas.ts';
import {
  auditExport,
  type CountedChannel,
  findStreamsToExport,
  listChannelsToExport,
  type StreamRow,
} from './store.ts';

type Content = Static<typeof ContentQuery>;

export interface ExportReadDependencies {
  limits: ExportLimits;
  /** The range of plausible times, by which a `start` or `end` in a finer unit than seconds is recognised. */
  plausible: PlausibleTimes;
  /** The server's time, in milliseconds of Unix time. */
  now(): number;
}

/**
 * Opens an export of one stream.
 * @throws ApiError 404 for a stream that is unknown or of another organization, and for a channel that it does not have;
 * 422 for a wide layout of too many channels
 */
export async function openStreamExport(
  organization: OrganizationDatabase,
  dataId: string,
  content: Content,
  deps: ExportReadDependencies,
): Promise<Export> {
  const streams = await findStreamsToExport(organization, [dataId]);
  if (streams.length === 0) throw notFound('data_id');
  return openExport(organization, streams, content, false, deps);
}

/**
 * Opens an export of several streams: the named ones; or all that pass the filters of the search, newest first; or the
 * named ones that pass the filters.
 * @throws ApiError 404 with the first stream that does not exist; 404 for a channel that none of them has; 422 for a
 * request without ids and filters, for too many streams, and for a wide layout of too many channels
 */
export async function openSelectionExport(
  organization: OrganizationDatabase,
  userId: string,
  { data_ids, ...query }: SelectionContentQuery,
  { search, ...deps }: ExportReadDependencies & { search: SearchOptions },
): Promise<Export> {
  const isFiltered = Object.keys(query).some((name) => !isContentField(name));
  if (data_ids === undefined && !isFiltered) {
    throw invalid(
      ['query', 'data_ids'],
      'say which streams: data_ids, or a filter of the search',
      undefined,
      'missing',
    );
  }
  const named = data_ids === undefined ? undefined : await requireStreams(organization, data_ids, deps.limits);
  if (!isFiltered) return openExport(organization, named ?? [], query, true, deps);
  const passed: string[] = [];
  for await (const page of searchDataEntries(
    organization,
    userId,
    { ...query, ...(data_ids && { data_ids }) },
    search,
  )) {
    passed.push(...page.map((entry) => entry.data_id));
    limitStreams(passed.length, deps.limits);
  }
  const streams = await findStreamsToExport(
    organization,
    named?.map(idOf).filter((id) => passed.includes(id)) ?? passed,
  );
  return openExport(organization, streams, query, true, deps);
}

/**
 * Writes into the audit log who takes a file.
 * @param report is called when the entry could not be written, for example on a full disk. The export goes on, and the
 * server's log has the entry
 */
export async function noteExport(
  organization: OrganizationDatabase,
  exported: Export,
  format: string,
  report: (error: unknown, what: object) => void,
): Promise<void> {
  const { streams } = exported;
  const what = { format, layout: exported.layout };
  await auditExport(organization, streams, what).catch((error) =>
    report(error, { ...what, data_ids: streams.map(({ data_id }) => data_id) }),
  );
}

const idOf = (stream: StreamRow) => stream.data_id;

async function requireStreams(
  organization: OrganizationDatabase,
  dataIds: string[],
  limits: ExportLimits,
): Promise<StreamRow[]> {
  const ids = distinctIds(dataIds);
  limitStreams(ids.length, limits);
  const streams = await findStreamsToExport(organization, ids);
  requireAll('Data entry', ids, streams.map(idOf));
  return streams;
}

async function openExport(
  organization: OrganizationDatabase,
  streams: StreamRow[],
  content: Content,
  isSelection: boolean,
  { limits, plausible, now }: ExportReadDependencies,
): Promise<Export> {
  const { layout = 'long', channel_names, units_in_headers: unitsInHeaders } = content;
  const { channelsMax, columnsMax } = limits;
  const [grid, window] = [gridOf(content), windowIn(content, plausible)];
  const ids = streams.map(idOf);
  const channels = await listChannelsToExport(organization, ids, channel_names, channelsMax + 1);
  if (channels.length > channelsMax) throw tooMany('channels', channelsMax);
  const names = [...new Set(channels.map((channel) => channel.channel_name))];
  if (channel_names?.some((name) => !names.includes(name))) throw notFound('channel');
  if (layout === 'wide' && names.length > columnsMax) {
    throw tooMany('different channels in the wide layout', columnsMax);
  }
  const byStream = new Map(ids.map((id): [string, CountedChannel[]] => [id, []]));
  for (const channel of channels) byStream.get(channel.data_id)?.push(channel);
  const exported: ExportedStream[] = streams.map((stream) => ({
    ...stream,
    channels: byStream.get(stream.data_id) ?? [],
  }));
  if (grid) {
    const rows = exported.map((stream) => gridRows(grid, stream.channels, window));
    requireFewRows(grid, rows, limits);
  }
  const exportedAt = new Date(now());
  return describeExport({ layout, isSelection, streams: exported, exportedAt, window, grid, unitsInHeaders });
}

function windowIn({ layout, start, end, every, carry_in }: Content, plausible: PlausibleTimes): Window {
  if (layout !== 'wide' && (start ?? end) !== undefined) {
    const name = start === undefined ? 'end' : 'start';
    throw invalid(['query', name], `${name} is of the wide layout; the long one has every point that is stored`);
  }
  const window = windowOf({ start, end }, plausible);
  if (carry_in !== true) return window;
  const refused = (why: string) => invalid(['query', 'carry_in'], why, carry_in);
  if (layout !== 'wide') {
    throw refused('carry_in is of the wide layout; the long one has every point that is stored');
  }
  if (start === undefined) throw refused('carry_in adds the last point of each channel before start; give start too');
  if (every !== undefined) {
    throw refused(
      'carry_in and every do not go together: with fill=previous its rows show readings from before start, as old as max_age',
    );
  }
  return { ...window, carry_in };
}

function limitStreams(count: number, { streamsMax }: ExportLimits): void {
  if (count > streamsMax) throw tooMany('streams', streamsMax);
}

const tooMany = (what: string, max: number) =>
  invalid(['query'], `an export holds at most ${max} ${what}; choose fewer`);
