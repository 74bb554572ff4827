import type { Filled } from './filled.ts';

/** Every read of streams, by the path that is asked for. Each is of one stream unless it names several. */
export function readsOf(streams: Filled): { ofOne: string[]; ofSeveral: string[] } {
  const { mixed, long, finalized, packed } = streams;
  const ofOne = [
    ...[mixed, long, finalized, packed].flatMap(readsOfStream),
    ...windowsOf(mixed, 1_700_000_000, 40),
    ...windowsOf(packed, 1_700_000_000, 875),
    ...windowsOf(long, 1_700_000_000, 84),
    ...pointsOf(mixed, 'pressure', 39),
    ...pointsOf(long, 'long', 4_195),
    ...pointsOf(packed, 'counts', 69),
    ...revisionsOf(mixed),
    `/metrology/stream/${mixed}/chunks?channel_name=pressure&channel_name=odd`,
    `/metrology/stream/${mixed}/chunks?content_hashes=true&marks=true`,
  ];
  const both = `data_ids=${mixed}&data_ids=${finalized}`;
  const ofSeveral = [
    ...['csv', 'parquet', 'xlsx'].flatMap((format) =>
      ['long', 'wide'].map((layout) => `/exports/?${both}&format=${format}&layout=${layout}`),
    ),
    `/exports/?${both}&layout=wide&every=1s&fill=mean`,
    `/exports/metadata/?${both}&layout=wide`,
    `/exports/?data_ids=${packed}`,
  ];
  return { ofOne, ofSeveral };
}

function readsOfStream(dataId: string): string[] {
  return [
    ...['metrology', 'tool-state'].flatMap((prefix) => [
      `/${prefix}/${dataId}/timeseries/`,
      `/${prefix}/${dataId}/timeseries/?available_properties=true`,
      `/${prefix}/${dataId}/statistics/`,
    ]),
    `/rheed/timeseries/${dataId}/`,
    `/rheed/timeseries/${dataId}/?last_n=7`,
    `/data_entries/raw_data/staged/timeseries/${dataId}`,
    `/metrology/stream/${dataId}/chunks`,
    `/metrology/stream/${dataId}/certificate`,
    `/metrology/stream/${dataId}/chunks/revisions`,
    `/metrology/${dataId}/latest`,
    ...['csv', 'parquet', 'xlsx'].flatMap((format) =>
      ['long', 'wide'].map((layout) => `/exports/${dataId}/?format=${format}&layout=${layout}`),
    ),
    `/exports/${dataId}/?layout=wide&every=2s`,
    `/exports/${dataId}/?layout=wide&every=2s&fill=mean&format=parquet`,
    `/exports/${dataId}/metadata/`,
    `/data_entries/raw_data/${dataId}?return_as=url-download`,
    `/data_entries/processed_data/${dataId}?return_as=url-download`,
  ];
}

/** Windows and down-sampled reads of a stream whose points lie within some seconds after `start`. */
function windowsOf(dataId: string, start: number, seconds: number): string[] {
  const at = (share: number) => start + seconds * share;
  const windows = [
    `start=${at(0.3)}&end=${at(0.6)}`,
    `start=${at(0.9)}`,
    `end=${at(0.05)}`,
    `start=${at(0.555)}&end=${at(0.5551)}`,
    `start=${at(3)}`,
    `elapsed_seconds=${seconds / 2}`,
  ];
  return [
    ...windows,
    ...windows.map((window) => `${window}&carry_in=true`),
    ...windows.map((window) => `${window}&max_points=40`),
    ...['last_n=1', 'last_n=25', 'last_n=100000', 'max_points=20', 'max_points=500'],
    `last_n=60&max_points=20`,
    `last_n=5&start=${at(0.2)}&end=${at(0.7)}`,
  ].flatMap((query) => [
    `/metrology/${dataId}/timeseries/?${query}`,
    ...(query.includes('start') && !query.includes('max_points') && !/last_n|carry/.test(query)
      ? [`/metrology/${dataId}/statistics/?${query}`, `/exports/${dataId}/?layout=wide&${query}`]
      : []),
  ]);
}

function pointsOf(dataId: string, channel: string, lastChunk: number): string[] {
  const path = `/metrology/${dataId}/points/?channel=${channel}`;
  return [
    path,
    `${path}&from_chunk=${lastChunk - 3}`,
    `${path}&from_chunk=2&to_chunk=9`,
    `${path}&from_chunk=8&carry_in=true&to_chunk=10`,
    `${path}&last_n=17`,
    `${path}&last_n=17&to_chunk=27`,
  ];
}

function revisionsOf(dataId: string): string[] {
  const path = `/metrology/stream/${dataId}/chunks/revisions`;
  return [
    `${path}?channel_name=pressure`,
    `${path}?channel_name=pressure&chunk_index=3`,
    `${path}/1?channel_name=pressure&chunk_index=3`,
    `${path}/2?channel_name=pressure&chunk_index=3`,
  ];
}
