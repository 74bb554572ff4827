/** The prefixes of the stream endpoints, one for each generation of the SDK. One set of handlers serves them all. */
export const streamPrefixes = ['/metrology/stream', '/tool-state/stream', '/instrument-timeseries'] as const;

/**
 * The routes that the official service has too, from the SDK or its documentation. All others are this server's own.
 * The two kinds differ in how they treat an unknown parameter or field (decision 0034). An official route answers as
 * usual and names it in a header, since its clients were written for another server. One of our own refuses it.
 */
const official = new Set<string>([
  ...streamPrefixes.flatMap((prefix) =>
    ['initialize', 'chunk', 'chunk/multi', ':data_id/finalize'].map((call) => `POST ${prefix}/${call}`),
  ),
  'GET /tool-state/:data_id/timeseries',
  'GET /metrology/:data_id/timeseries',
  'GET /rheed/timeseries/:data_id',
  'GET /data_entries',
  'DELETE /data_entries',
  'PATCH /data_entries/:data_id',
  'POST /data_entries/physical_sample',
  'GET /data_entries/raw_data/:data_id',
  'GET /data_entries/processed_data/:data_id',
  'GET /data_entries/raw_data/staged/timeseries/:data_id',
  'GET /physical_samples',
  'POST /physical_samples',
  'PATCH /physical_samples/:physical_sample_id',
  'PATCH /physical_samples/:physical_sample_id/growth_instrument',
  'GET /physical_samples/:physical_sample_id/timeseries',
  'GET /projects',
  'GET /projects/:project_id/physical_samples',
  'POST /projects/:project_id/configuration',
  'POST /projects/:project_id/configuration/tracking_samples',
  'GET /tags',
  'POST /tags',
  'POST /tags/data-items',
  'GET /instruments/synthesis',
  'POST /instruments/synthesis',
  'PATCH /instruments/synthesis/:synth_source_id',
  'DELETE /instruments/synthesis',
]);

/** Whether a route is official. @param url its path as it is registered, with or without a slash at the end */
export function isOfficial(method: string, url: string): boolean {
  return official.has(`${method === 'HEAD' ? 'GET' : method} ${url.replace(/\/+$/, '')}`);
}

/** For the test that compares the list with the routes. */
export const officialRoutes: ReadonlySet<string> = official;
