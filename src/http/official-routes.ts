/** The prefixes under which generations of the SDK call the stream endpoints. */
const streams = ['/metrology/stream', '/tool-state/stream', '/instrument-timeseries'];

/**
 * The routes that the official service has too, as the SDK calls them or its pages describe them. All others are this server's own.
 * They differ in what happens to a parameter or field that is not known: an official route answers as ever and names it in a header,
 * since clients were written for another server; an own one refuses it (decision 0034).
 */
const official = new Set([
  ...streams.flatMap((prefix) =>
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

/** @param url the path of a route as it is registered; a slash at its end means nothing */
export function isOfficial(method: string, url: string): boolean {
  return official.has(`${method === 'HEAD' ? 'GET' : method} ${url.replace(/\/+$/, '')}`);
}

/** For the test that holds the list against the routes. */
export const officialRoutes: ReadonlySet<string> = official;
