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
  /** Seconds from its first to its last time. */
  seconds: number | null;
  channel_count: number;
  point_count: number;
  /** Null when the run has too many channels to count. */
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
  /** Null when the server does not count: after the first page, in a long search, or when there are very many runs. */
  total: number | null;
}

/** Runs that one request lists at most. */
export const runPageMax = 500;

/**
 * Reads the next page that has runs, or the last page. The server looks through a bounded number of runs for each answer,
 * so an answer may be empty although more runs follow.
 */
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

/** @param note '' removes the note */
export const noteOnRun = (dataId: string, note: string) =>
  callApi<DataEntry>(`data_entries/${dataId}`, { method: 'PATCH', body: { detail_note_content: note } });

/** Ids in the address of one request, which may have 16 kB. */
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

/** Puts a tag on runs. Creates the tag if there is none of that name. */
export async function tagRuns(dataIds: readonly string[], name: string): Promise<void> {
  const tag = await callApi<NamedLink>('tags/', { body: { name } });
  await inParts(dataIds, (part) => callApi('tags/data-items/', { body: { data_ids: part, tag_ids: [tag.id] } }));
}

/** Takes a tag off a run; the tag stays for other runs. */
export async function untagRun(dataId: string, name: string): Promise<void> {
  const tag = (await listTags()).find((one) => one.name === name);
  // Somebody else has deleted the tag meanwhile.
  if (tag === undefined) return;
  await callApi(`tags/data-items/?${queryOf({ data_ids: [dataId], tag_ids: [String(tag.id)] })}`, { method: 'DELETE' });
}

/** Links a run to its sample. Creates the sample if there is none of that name. */
export async function linkSample(dataId: string, name: string): Promise<void> {
  const sample = await callApi<NamedLink>('physical_samples/', { body: { name } });
  await callApi('data_entries/physical_sample', { body: { data_ids: [dataId], physical_sample_id: sample.id } });
}

/** Puts the sample of a run into a project. Creates the project if there is none of that name. */
export async function addSampleToProject(sampleId: string, name: string): Promise<void> {
  const project = await callApi<NamedLink>('projects/', { body: { name } });
  await callApi(`projects/${project.id}/configuration/tracking_samples`, { body: { physical_sample_id: sampleId } });
}
