/** Guarantees: a change to a project happens whole or not at all, and twice is once. */
import type { Database } from '../../database/database.ts';
import { invalid, notFound } from '../../errors.ts';
import { jsonDocument } from '../json-document.ts';
import { changeProject, listProjects, type ProjectChange, type ProjectRow } from './store.ts';

/** @throws ApiError 404 */
export async function getProject(database: Database, organizationId: string, projectId: string): Promise<ProjectRow> {
  const project_id = projectId.toLowerCase();
  const [project] = await listProjects(database, organizationId, { project_id });
  if (project === undefined) throw notFound(`Project ${project_id}`);
  return project;
}

/** Adds a sample to the project and, if asked, makes it the active one. @throws ApiError 404 */
export async function trackSample(
  database: Database,
  organizationId: string,
  projectId: string,
  { physical_sample_id, set_active = false }: { physical_sample_id: string; set_active?: boolean },
): Promise<void> {
  await changeProject(database, organizationId, projectId.toLowerCase(), {
    trackedSampleId: physical_sample_id.toLowerCase(),
    setActive: set_active,
  });
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const trackedKey = 'tracking_physical_sample_id';

/**
 * Replaces the client's own configuration object. Older SDKs track a sample by a key of it, beside keys that are no
 * business of this server.
 * @throws ApiError 404 for an unknown project or sample, 422 for an object that cannot be stored; nothing is changed.
 */
export async function replaceConfiguration(
  database: Database,
  organizationId: string,
  projectId: string,
  configuration: Record<string, unknown>,
): Promise<void> {
  const change: ProjectChange = { apiConfiguration: jsonDocument(configuration, ['body']) };
  const tracked = Object.hasOwn(configuration, trackedKey) ? configuration[trackedKey] : undefined;
  if (typeof tracked === 'string') {
    if (!uuidPattern.test(tracked)) throw invalid(['body', trackedKey], `${trackedKey} must be a UUID`, tracked);
    change.trackedSampleId = tracked.toLowerCase();
    change.setActive = true;
  }
  await changeProject(database, organizationId, projectId.toLowerCase(), change);
}
