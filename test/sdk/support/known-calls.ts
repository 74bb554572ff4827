/*
 * Everything that the newest release of the SDK can call, as `describe.py` finds it: what users call, and the paths in its sources.
 * A release with one more fails the suite until somebody has looked at it and put it into one of these lists.
 */

/** What this server serves, or answers as a server that has none of it. */
const served = [
  'Client.create_growth_instrument',
  'Client.delete_growth_instrument',
  'Client.download',
  'Client.get',
  'Client.get_physical_sample',
  'Client.get_physical_sample_timeseries',
  'Client.get_project',
  'Client.list_growth_instruments',
  'Client.list_physical_samples',
  'Client.list_projects',
  'Client.search',
  'Client.session',
  'TimeseriesStreamer.clock_status',
  'TimeseriesStreamer.finalize',
  'TimeseriesStreamer.initialize',
  'TimeseriesStreamer.push',
  'TimeseriesStreamer.push_multi',
  'TimeseriesStreamer.run',
  '/data_entries',
  '/data_entries/physical_sample',
  '/data_entries/processed_data/{}',
  '/data_entries/{}/{}',
  '/gateway/time',
  '/instruments/synthesis',
  '/physical_samples',
  '/physical_samples/{}/timeseries',
  '/projects',
  '/projects/{}/configuration/tracking_samples',
  '/projects/{}/physical_samples',
  '/rheed/timeseries/{}',
  '/tags',
  '/tags/data-items',
  '/tool-state/stream/chunk',
  '/tool-state/stream/chunk/multi',
  '/tool-state/stream/initialize',
  '/tool-state/stream/{}/finalize',
  '/tool-state/{}/timeseries',
];

/** What belongs to measurements that are no time series of an instrument, and to what is computed from them: not here. */
const elsewhere = [
  'Client.aiter_poll_similarity_trajectory',
  'Client.download_videos',
  'Client.get_ai_summaries',
  'Client.get_changepoints',
  'Client.get_embeddings',
  'Client.get_frame',
  'Client.get_frame_masks',
  'Client.get_process_steps',
  'Client.get_rheed_azimuths',
  'Client.get_rheed_timeseries',
  'Client.get_similarity_matches',
  'Client.get_similarity_trajectory',
  'Client.get_spatial_annotations',
  'Client.iter_poll_similarity_trajectory',
  'Client.query_rheed_embeddings',
  'Client.set_rheed_azimuth',
  'Client.start_polling_similarity_trajectory_task',
  'Client.start_polling_similarity_trajectory_thread',
  'Client.upload',
  '/changepoints',
  '/data_entries/raw_data/staged/upload_urls',
  '/data_entries/raw_data/staged/upload_urls/complete',
  '/data_entries/video_single_frames/{}',
  '/ellipsometry/{}/timeseries',
  '/embeddings',
  '/embeddings/neighbors',
  '/matches',
  '/optical/frame/video_single_frames/{}',
  '/optical/timeseries/{}',
  '/photoluminescence/{}',
  '/physical_samples/{}/annotations',
  '/physical_samples/{}/process_steps',
  '/raman/{}',
  '/recipe/{}/timeseries',
  '/rheed/images/{}/fingerprint',
  '/rheed/images/{}/frame_masks',
  '/rheed/images/{}/frames/{}',
  '/rheed/images/{}/mask',
  '/rheed/stream',
  '/rheed/stream/{}/end',
  '/rheed/{}/azimuths',
  '/rheed/{}/azimuths/{}',
  '/similarity/{}',
  '/summary/{}',
  '/trajectory',
  '/xps/{}',
  '/xrd/{}',
];

/** Texts with a slash that are no paths. */
const noPaths = ['/application/json', '/atomscale', '/bucket/shard'];

/** @returns those of the calls of a release that nobody has looked at yet */
export function unknownCalls(calls: readonly string[]): string[] {
  const known = new Set([...served, ...elsewhere, ...noPaths]);
  return calls.filter((call) => !known.has(call));
}
