import { type Command, Option } from 'commander';
import { type DeletedEntry, nextDeletedEntries } from '../catalogue/data-entries/deleted-store.ts';
import { deleteDataEntries, restoreDataEntries } from '../catalogue/data-entries/service.ts';
import { type CatalogueLimits, catalogueLimits } from '../catalogue/limits.ts';
import { findIdByName } from '../catalogue/one-per-name.ts';
import { nextChannels, type RunChannel } from '../catalogue/runs/run-channel-store.ts';
import type { Run, RunQuery } from '../catalogue/runs/schemas.ts';
import { listRuns } from '../catalogue/runs/service.ts';
import { describeRuns } from '../catalogue/runs/store.ts';
import type { Actor } from '../database/audit.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { ApiError } from '../errors.ts';
import { freely } from '../lib/reading.ts';
import { rowPages } from '../lib/row-pages.ts';
import { atLeastOne, type Columns, described, jsonOption, type Listing, uuid, uuidPattern } from './listing.ts';
import { databaseOf, ofOrganization, type WithDatabase } from './surroundings.ts';

interface Surroundings {
  withDatabase: WithDatabase;
  listing: Listing;
  /** Who runs the command, for the audit log. */
  actor: Actor;
  /** An open stream without a chunk for so many seconds is shown as interrupted. */
  idleSeconds: () => number;
  limits?: CatalogueLimits;
}

const runColumns: Columns<Run> = {
  ID: (run) => run.data_id,
  NAME: (run) => run.name,
  STATUS: (run) => run.status,
  CREATED: (run) => run.created_at,
  'LAST CHUNK': (run) => run.last_chunk_at,
  CHANNELS: (run) => run.channel_count,
  POINTS: (run) => run.point_count,
  MISSING: (run) => run.missing_chunk_count,
  SAMPLE: (run) => run.sample?.name,
  PROJECT: (run) => run.project?.name,
  USER: (run) => run.user,
};

const deletedColumns: Columns<DeletedEntry> = {
  ID: (entry) => entry.data_id,
  NAME: (entry) => entry.name,
  STATUS: (entry) => entry.status,
  CREATED: (entry) => entry.created_at,
  DELETED: (entry) => entry.deleted_at,
  CHANNELS: (entry) => entry.channel_count,
  POINTS: (entry) => entry.point_count,
  USER: (entry) => entry.user,
};

const channelColumns: Columns<RunChannel> = {
  CHANNEL: (channel) => channel.channel_name,
  UNITS: (channel) => channel.units,
  CHUNKS: (channel) => channel.chunk_count,
  POINTS: (channel) => channel.point_count,
  ABSENT: (channel) => channel.null_count,
  FROM: (channel) => channel.time_min,
  TO: (channel) => channel.time_max,
};

/** `metrology-server streams …`: list, show, delete and restore streams. */
export function addStreamsCommands(streams: Command, surroundings: Surroundings): void {
  described(streams, 'streams of an organization');
  addList(streams.command('list'), surroundings);
  addShow(streams.command('show'), surroundings);
  addDelete(streams.command('delete'), surroundings);
  addRestore(streams.command('restore'), surroundings);
}

type ListOptions = { organization: string; json: boolean; deleted: boolean; limit?: number; project?: string } & Pick<
  RunQuery,
  'search' | 'status' | 'tag' | 'user'
>;

function addList(
  command: Command,
  { withDatabase, listing, actor, idleSeconds, limits = catalogueLimits }: Surroundings,
): void {
  command
    .description('list streams, newest first')
    .addOption(ofOrganization())
    .option('--search <words>', 'those that all of these words describe')
    .addOption(new Option('--status <status>', 'open and heard of lately, or the others').choices(['live', 'ended']))
    .option('--project <name>', 'those of a project, by name or id')
    .option('--tag <name...>', 'those with any of these tags, by name or id')
    .option('--user <name...>', 'those that any of these users has opened, by name or id')
    .addOption(
      new Option('--deleted', 'those that are deleted, instead: they can be restored')
        .default(false)
        .conflicts(['search', 'status', 'project', 'tag', 'user']),
    )
    .option('--limit <count>', 'so many at most (default: all)', atLeastOne)
    .addOption(jsonOption())
    .action(({ organization, json, deleted, limit = Infinity, project, ...query }: ListOptions) =>
      withDatabase(async (database) => {
        const own = await databaseOf(database, organization, actor);
        if (deleted) return listing.list(atMost(limit, deletedPages(own, limits)), deletedColumns, json);
        const projectId = project && (await projectCalled(own, project));
        const asked = { ...query, ...(projectId && { project_id: [projectId] }) };
        const options = { idleSeconds: idleSeconds(), limits: limits };
        return listing.list(atMost(limit, runPages(own, asked, options)), runColumns, json);
      }),
    );
}

const deletedPages = (organization: OrganizationDatabase, { listPageRowsMax }: CatalogueLimits) =>
  rowPages<DeletedEntry>(listPageRowsMax, (after) => nextDeletedEntries(organization, after, listPageRowsMax));

async function* runPages(
  organization: OrganizationDatabase,
  query: RunQuery,
  options: { idleSeconds: number; limits: CatalogueLimits },
): AsyncGenerator<Run[], void, void> {
  let cursor: string | null | undefined;
  do {
    const page = await listRuns({ organization, reading: freely }, { ...query, ...(cursor && { cursor }) }, options);
    yield page.runs;
    cursor = page.next_cursor;
  } while (cursor !== null);
}

async function* atMost<Row>(countMax: number, pages: AsyncIterable<Row[]>): AsyncGenerator<Row[], void, void> {
  let left = countMax;
  for await (const page of pages) {
    yield page.slice(0, left);
    left -= page.length;
    if (left <= 0) return;
  }
}

/** @throws Error with a sentence when there is no such project */
async function projectCalled(organization: OrganizationDatabase, name: string): Promise<string> {
  if (uuidPattern.test(name)) return name.toLowerCase();
  const id = await findIdByName(organization, 'projects', name);
  if (id === undefined) throw new Error(`There is no project "${name}".`);
  return id;
}

function addShow(
  command: Command,
  { withDatabase, listing, actor, idleSeconds, limits = catalogueLimits }: Surroundings,
): void {
  command
    .description('show a stream and its channels')
    .argument('<id>', 'its id in the list', uuid)
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .action((id, { organization, json }) =>
      withDatabase(async (database) => {
        const own = await databaseOf(database, organization, actor);
        const { runChannelsCountedMax: channelsCountedMax, listPageRowsMax } = limits;
        const [run] = await describeRuns(own, [id], { idleSeconds: idleSeconds(), channelsCountedMax });
        if (run === undefined) throw new Error(`There is no stream ${id} in this organization, or it is deleted.`);
        const next = (after?: RunChannel) => nextChannels(own, id, after, listPageRowsMax);
        const channels = rowPages<RunChannel>(listPageRowsMax, next);
        if (json) return listing.tell({ ...run, channels: await allOf(channels) }, run.name, json);
        for (const [name, value] of Object.entries(run)) listing.say(`${name}: ${valueText(value)}`);
        await listing.list(channels, channelColumns, json);
      }),
    );
}

async function allOf<Row>(pages: AsyncIterable<Row[]>): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const page of pages) rows.push(...page);
  return rows;
}

function valueText(value: unknown): string {
  if (value === null || (Array.isArray(value) && value.length === 0)) return '-';
  if (Array.isArray(value)) return value.join(', ');
  return typeof value === 'object' ? `${(value as { name: string }).name}` : String(value);
}

function addDelete(command: Command, { withDatabase, listing, actor }: Surroundings): void {
  command
    .description('delete streams: nobody sees them until they are restored')
    .argument('<id...>', 'their ids in the list', uuids)
    .addOption(ofOrganization())
    .option('--permanent', 'remove them for good, deleted before or not; needs --yes', false)
    .option('--yes', 'really', false)
    .addOption(jsonOption())
    .action((ids: string[], { organization, permanent, yes, json }) => {
      if (permanent && !yes) {
        throw new Error('Streams that are removed for good cannot be restored. Say --yes beside --permanent.');
      }
      return withDatabase(async (database) => {
        const own = await databaseOf(database, organization, actor);
        const done = await unlessNone(deleteDataEntries(own, { data_ids: ids, permanent }));
        const status = permanent ? 'removed' : 'deleted';
        tellEach(listing, {
          ids,
          done,
          status,
          json,
          not: permanent ? 'is not there' : 'is not there, or was deleted before',
        });
      });
    });
}

function addRestore(command: Command, { withDatabase, listing, actor }: Surroundings): void {
  command
    .description('restore deleted streams with all that they held; not those that were removed for good')
    .argument('<id...>', 'their ids in the list', uuids)
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .action((ids: string[], { organization, json }) =>
      withDatabase(async (database) => {
        const own = await databaseOf(database, organization, actor);
        const done = await unlessNone(restoreDataEntries(own, ids));
        tellEach(listing, { ids, done, status: 'restored', json, not: 'is not there, or is being removed' });
      }),
    );
}

const uuids = (text: string, before: string[] = []): string[] => [...new Set([...before, uuid(text)])];

/** Treats the error that none of the ids exists as a result: no id was changed. @returns the ids that were changed */
async function unlessNone(changed: Promise<string[]>): Promise<string[]> {
  return changed.catch((error) => {
    if (error instanceof ApiError && error.code === 'not_found') return [];
    throw error;
  });
}

/** Prints the ids that were changed. @throws Error with a sentence for each id that was not */
function tellEach(
  listing: Listing,
  { ids, done, status, json, not }: { ids: string[]; done: string[]; status: string; json: boolean; not: string },
): void {
  for (const data_id of done) listing.tell({ data_id, status }, `The stream ${data_id} is ${status}.`, json);
  const left = ids.filter((id) => !done.includes(id));
  if (left.length > 0) throw new Error(left.map((id) => `The stream ${id} ${not}.`).join('\n'));
}
