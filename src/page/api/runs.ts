import type { RunFilters } from '../url-state.ts';
import { callApi, queryOf } from './client.ts';

export interface NamedLink {
  id: string | number;
  name: string;
}

/** A row of the list of runs. */
export interface Run {
  data_id: string;
  name: string;
  status: 'live' | 'interrupted' | 'finalized';
  created_at: string;
  started_at: string | null;
  last_chunk_at: string | null;
  finalized_at: string | null;
  /** Span of the times that it holds. */
  seconds: number | null;
  channel_count: number;
  point_count: number;
  /** Null of a run with too many channels to count. */
  missing_chunk_count: number | null;
  sample: NamedLink | null;
  project: NamedLink | null;
  instrument: NamedLink | null;
  tags: string[];
  user: string;
}

export interface RunPage {
  runs: Run[];
  next_cursor: string | null;
  /** Null where the server does not count: behind a cursor, in a long search, of very many. */
  total: number | null;
}

/** Runs that one request lists at most. */
export const runPageMax = 500;

/** A page with runs, or the last one: an answer may have none and go on, as the server looks through so many at a time. */
export async function readRunPage(
  filters: RunFilters,
  page: { limit: number; cursor?: string | undefined },
  signal?: AbortSignal,
): Promise<RunPage> {
  for (let { cursor } = page, total: number | null = null; ; ) {
    const answer: RunPage = await listRuns(filters, { ...page, cursor }, signal);
    total ??= answer.total;
    if (answer.runs.length > 0 || answer.next_cursor === null) return { ...answer, total };
    cursor = answer.next_cursor;
  }
}

function listRuns(filters: RunFilters, page: { limit: number; cursor?: string | undefined }, signal?: AbortSignal) {
  const { search, status, sample, project, instrument, tag, user } = filters;
  const query = queryOf({
    ...{ search: search.trim(), status, sample_id: sample, project_id: project, instrument, tag, user },
    ...{ limit: page.limit, cursor: page.cursor },
  });
  return callApi<RunPage>(`runs/?${query}`, { signal });
}

/** Entries of the catalogue, as the official search answers them. */
export interface DataEntry {
  data_id: string;
  raw_name: string;
  pipeline_status: string;
  source_name: string | null;
  physical_sample_id: string | null;
  physical_sample_name: string | null;
  projects: NamedLink[];
  growth_length: number | null;
  upload_datetime: string;
  last_updated: string;
  detail_note_content: string | null;
  detail_note_last_updated: string | null;
  file_metadata: { points_per_chunk: number; finalized_at: string | null; point_count: number; chunk_count: number };
  tags: (NamedLink | string)[];
  name: string | null;
}

/** @returns undefined where there is no such run for this organization */
export async function readEntry(dataId: string): Promise<DataEntry | undefined> {
  const [entry] = await callApi<DataEntry[]>(`data_entries/?${queryOf({ data_ids: [dataId] })}`);
  return entry;
}

export const renameRun = (dataId: string, name: string) =>
  callApi<DataEntry>(`data_entries/${dataId}`, { method: 'PATCH', body: { raw_name: name } });

/** @param note '' takes it away */
export const noteOnRun = (dataId: string, note: string) =>
  callApi<DataEntry>(`data_entries/${dataId}`, { method: 'PATCH', body: { detail_note_content: note } });

/** Ids that one request may name in its address, which has 16 kB at most. */
const idsAtOnce = 200;

async function inParts(dataIds: readonly string[], send: (part: string[]) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < dataIds.length; i += idsAtOnce) await send(dataIds.slice(i, i + idsAtOnce));
}

/** Hides runs until they are restored. */
export const deleteRuns = (dataIds: readonly string[]) =>
  inParts(dataIds, (part) => callApi(`data_entries/?${queryOf({ data_ids: part })}`, { method: 'DELETE' }));

export const restoreRuns = (dataIds: readonly string[]) =>
  inParts(dataIds, (part) => callApi('data_entries/restore', { body: { data_ids: part } }));

export const listTags = () => callApi<NamedLink[]>('tags/');
export const listSamples = () => callApi<NamedLink[]>('physical_samples/');
export const listProjects = () => callApi<NamedLink[]>('projects/');
export const listInstruments = () => callApi<Record<string, unknown>[]>('instruments/synthesis');

/** Puts a tag on runs; makes it where there is none of that name. */
export async function tagRuns(dataIds: readonly string[], name: string): Promise<void> {
  const tag = await callApi<NamedLink>('tags/', { body: { name } });
  await inParts(dataIds, (part) => callApi('tags/data-items/', { body: { data_ids: part, tag_ids: [tag.id] } }));
}

/** Takes a tag off a run; the tag stays for other runs. */
export async function untagRun(dataId: string, name: string): Promise<void> {
  const tag = (await listTags()).find((one) => one.name === name);
  // Somebody else may have been first.
  if (tag === undefined) return;
  await callApi(`tags/data-items/?${queryOf({ data_ids: [dataId], tag_ids: [String(tag.id)] })}`, { method: 'DELETE' });
}

/** Says which sample a run comes from; makes the sample where there is none of that name. */
export async function linkSample(dataId: string, name: string): Promise<void> {
  const sample = await callApi<NamedLink>('physical_samples/', { body: { name } });
  await callApi('data_entries/physical_sample', { body: { data_ids: [dataId], physical_sample_id: sample.id } });
}

/** Puts the sample of a run into a project, made where there is none of that name. */
export async function addSampleToProject(sampleId: string, name: string): Promise<void> {
  const project = await callApi<NamedLink>('projects/', { body: { name } });
  await callApi(`projects/${project.id}/configuration/tracking_samples`, { body: { physical_sample_id: sampleId } });
}
