/** Guarantees: a change to a project is applied completely or not at all, and repeating it has no further effect. */
import type { OrganizationDatabase } from '../../database/organizations.ts';
import { invalid, notFound } from '../../errors.ts';
import type { ListRow } from '../../lib/list-row.ts';
import { jsonDocument } from '../json-document.ts';
import type { CatalogueLimits } from '../limits.ts';
import { pagesOf } from '../list-pages.ts';
import {
  changeProject,
  findProject,
  nextProjects,
  type ProjectChange,
  type ProjectRow,
  readConfiguration,
  removeProject,
  unlinkStreams,
} from './store.ts';

/** @throws ApiError 404 */
export async function getProject(organization: OrganizationDatabase, projectId: string): Promise<ProjectRow> {
  const project_id = projectId.toLowerCase();
  const project = await findProject(organization, project_id);
  if (project === undefined) throw notFound(`Project ${project_id}`);
  return project;
}

/** Adds a sample to the project and, with `set_active`, makes it the active one. @throws ApiError 404 */
export async function trackSample(
  organization: OrganizationDatabase,
  projectId: string,
  { physical_sample_id, set_active = false }: { physical_sample_id: string; set_active?: boolean },
  limits: CatalogueLimits,
): Promise<void> {
  const change = { trackedSampleId: physical_sample_id.toLowerCase(), setActive: set_active };
  await changeProject(organization, projectId.toLowerCase(), change, limits);
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const trackedKey = 'tracking_physical_sample_id';

/**
 * Replaces the client's own configuration object. Older SDKs track a sample by one of its keys. All other keys have no
 * meaning for this server.
 * @throws ApiError 404 for an unknown project or sample, 422 for an object that cannot be stored; then nothing is changed
 */
export async function replaceConfiguration(
  organization: OrganizationDatabase,
  projectId: string,
  configuration: Record<string, unknown>,
  limits: CatalogueLimits,
): Promise<void> {
  const change: ProjectChange = { apiConfiguration: jsonDocument(configuration, ['body'], limits) };
  const tracked = Object.hasOwn(configuration, trackedKey) ? configuration[trackedKey] : undefined;
  if (typeof tracked === 'string') {
    if (!uuidPattern.test(tracked)) throw invalid(['body', trackedKey], `${trackedKey} must be a UUID`, tracked);
    change.trackedSampleId = tracked.toLowerCase();
    change.setActive = true;
  }
  await changeProject(organization, projectId.toLowerCase(), change, limits);
}

/** The organization's projects, newest first, page by page. A configuration that is not small is read separately. */
export function listProjects(organization: OrganizationDatabase, limits: CatalogueLimits): AsyncGenerator<ListRow[]> {
  const read = (id: string) => () => readConfiguration(organization, id);
  return pagesOf(
    limits.listPageRowsMax,
    (after?: Listed) => nextProjects(organization, after, limits),
    ({ id, is_apart }) => (is_apart ? { key: 'api_configuration', read: read(id) } : undefined),
  );
}

type Listed = Awaited<ReturnType<typeof nextProjects>>[number];

/**
 * Deletes a project. Its streams stay, and then belong to no project. They are unlinked in small batches, so that nobody
 * waits long for the lock of a stream. If it is interrupted, the same request again continues.
 * @throws ApiError 404
 */
export async function deleteProject(
  organization: OrganizationDatabase,
  projectId: string,
  { listPageRowsMax }: CatalogueLimits,
): Promise<void> {
  const { id } = await getProject(organization, projectId);
  do {
    while ((await unlinkStreams(organization, id, listPageRowsMax)) === listPageRowsMax);
  } while (!(await removeProject(organization, id)));
}
