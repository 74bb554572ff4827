/** Placeholder for an id of the reader's own. */
export const exampleId = '00000000-0000-4000-8000-000000000000';

/** Placeholder for the reader's own key. */
export const exampleKey = 'your API key';

const timestamps = [1705312200, 1705312210, 1705312220];
const thickness = { timestamps, values: [0, 5.2, null], units: 'nm' };
const rate = { timestamps, values: [0.51, 0.52, 0.52], units: 'nm/s' };

/**
 * An example body for each POST, by the end of its path. Each is valid once its ids and key are filled in. Without
 * examples a tool generates a body from the patterns of the schema, which looks like no real request.
 */
export const exampleBodies: Record<string, object> = {
  '/initialize': { stream_name: 'Run 7', points_per_chunk: 3 },
  '/chunk': { data_id: exampleId, chunk_index: 0, channel_name: 'thickness', ...thickness },
  '/chunk/multi': { data_id: exampleId, chunk_index: 0, channels: { thickness, deposition_rate: rate } },
  '/chunks/restore': { channel_name: 'thickness', chunk_index: 0, revision: 1 },
  '/data_entries/physical_sample': { data_ids: [exampleId], physical_sample_id: exampleId },
  '/data_entries/restore': { data_ids: [exampleId] },
  '/physical_samples/': { name: 'GaN-001' },
  '/projects/': { name: 'GaN 2026' },
  '/configuration': { note: 'any document' },
  '/configuration/tracking_samples': { physical_sample_id: exampleId, set_active: true },
  '/tags/': { name: 'growth' },
  '/tags/data-items/': { data_ids: [exampleId], tag_ids: [exampleId] },
  '/keys/': { scopes: ['read'] },
  '/rotate': { overlap_seconds: 3600 },
  '/session': { api_key: exampleKey },
  '/instruments/synthesis': { label: 'Main MBE', name: 'Veeco GEN10', type: 'mbe', serial_id: null },
};

interface Document {
  paths?: Record<string, { post?: { requestBody?: object } } | undefined>;
}

/** Adds the examples to the request bodies of a document. */
export function withExampleBodies<T extends object>(document: T): T {
  for (const [path, operations] of Object.entries((document as Document).paths ?? {})) {
    const body = operations?.post?.requestBody as { content?: Record<string, { example?: object }> } | undefined;
    const media = body?.content?.['application/json'];
    const end = Object.keys(exampleBodies).find((one) => path.endsWith(one));
    if (media !== undefined && end !== undefined) media.example = exampleBodies[end] as object;
  }
  return document;
}
