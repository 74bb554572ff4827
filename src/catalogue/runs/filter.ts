/** The filters of the list of runs, as SQL conditions on a row of `streams` with the alias stream. */
import { type RawBuilder, sql } from 'kysely';
import type { Fold } from '../../database/folding.ts';

export interface RunFilter {
  /** Folded words; a run passes only if all of them are found. */
  words: readonly string[];
  fold: Fold;
  /** Seconds without a chunk after which an open run is interrupted; if it is also empty, it is hidden. */
  idleSeconds: number;
  status: 'live' | 'ended' | undefined;
  /** A run passes if it has any of these; undefined lets all runs pass. */
  sampleIds: readonly string[] | undefined;
  projectIds: readonly string[] | undefined;
  instrumentIds: readonly string[] | undefined;
  tagIds: readonly string[] | undefined;
  userIds: readonly string[] | undefined;
}

type Condition = RawBuilder<unknown>;

/*
 * Conditions on channels and tags are written with `limit 1`, so that PostgreSQL looks them up for each run. Otherwise it
 * would read the channels or tags of all runs of all organizations once, which takes longer than a page of runs.
 */

/** Whether a run passes all filters but the words. */
export function passes(filter: RunFilter): Condition {
  const { sampleIds, projectIds, instrumentIds, tagIds, userIds } = filter;
  const conditions = [shows(filter)];
  if (filter.status === 'live') conditions.push(isLive(filter));
  if (filter.status === 'ended') conditions.push(sql`not ${isLive(filter)}`);
  if (sampleIds !== undefined) conditions.push(sql`stream.physical_sample_id = any(${sampleIds}::uuid[])`);
  if (instrumentIds !== undefined) conditions.push(sql`stream.synth_source_id = any(${instrumentIds}::integer[])`);
  if (userIds !== undefined) conditions.push(sql`stream.user_id = any(${userIds}::uuid[])`);
  if (projectIds !== undefined) conditions.push(isOfProject(projectIds));
  if (tagIds !== undefined) conditions.push(hasTag(tagIds));
  return sql`(${sql.join(conditions, sql` and `)})`;
}

/** An open stream without data is hidden when it was opened long ago, as in a search for entries. */
const shows = ({ idleSeconds }: RunFilter): Condition =>
  sql`(stream.finalized_at is not null or stream.pipeline_status is not null
    or stream.created_at + make_interval(secs => ${idleSeconds}::float8) >= clock_timestamp()
    or ${hasChannel(sql`channel.chunk_count > 0`)})`;

const isLive = ({ idleSeconds }: RunFilter): Condition =>
  sql`(stream.finalized_at is null
    and (stream.created_at + make_interval(secs => ${idleSeconds}::float8) >= clock_timestamp()
      or ${hasChannel(sql`channel.changed_at + make_interval(secs => ${idleSeconds}::float8) >= clock_timestamp()`)}))`;

const hasChannel = (condition: Condition): Condition =>
  sql`coalesce((
    select true from channels as channel where channel.data_id = stream.data_id and ${condition} limit 1), false)`;

const hasTag = (tagIds: readonly string[]): Condition =>
  sql`coalesce((
    select true from stream_tags as tagged
    where tagged.data_id = stream.data_id and tagged.organization_id = stream.organization_id
      and tagged.tag_id = any(${tagIds}::uuid[]) limit 1), false)`;

/** Whether the run itself or its sample belongs to one of the projects. */
const isOfProject = (projectIds: readonly string[]): Condition =>
  sql`(stream.project_id = any(${projectIds}::uuid[]) or coalesce((
    select true from project_physical_samples as member
    where member.physical_sample_id = stream.physical_sample_id and member.organization_id = stream.organization_id
      and member.project_id = any(${projectIds}::uuid[]) limit 1), false))`;
