import type { Answer, Client } from './client.ts';
import { contentJson, contentOf } from './content.ts';
import type { History, Outcome } from './history.ts';

export const prefixes = ['/tool-state/stream', '/metrology/stream', '/instrument-timeseries'] as const;
export type Prefix = (typeof prefixes)[number];

/** One request of ingest: the contents, by number, of some channels under one index. */
export interface ChunkRequest {
  dataId: string;
  index: number;
  channels: readonly (readonly [channel: string, content: number])[];
  prefix: Prefix;
  /** Sent as a multi-channel request even with one channel. */
  isMulti?: boolean;
}

export interface Sent {
  outcome: Outcome;
  answer: Answer | undefined;
  failure: Error | undefined;
  /** By channel, where it was stored. */
  totals: Map<string, number>;
}

export async function openStream(client: Client, prefix: Prefix, pointsPerChunk: number): Promise<string> {
  const body = JSON.stringify({ stream_name: 'faults', points_per_chunk: pointsPerChunk, project_id: null });
  const answer = await client.send('POST', `${prefix}/initialize`, body);
  if (answer.status !== 200) throw new Error(`initialize: ${answer.status} ${answer.body}`);
  return (JSON.parse(answer.body) as { data_id: string }).data_id;
}

export function chunkPath({ prefix, channels, isMulti }: ChunkRequest): string {
  return `${prefix}/chunk${channels.length > 1 || isMulti ? '/multi' : ''}`;
}

export function chunkBody({ dataId, index, channels, isMulti }: ChunkRequest): string {
  const head = `{"data_id":"${dataId}","chunk_index":${index}`;
  const [only] = channels;
  if (only !== undefined && channels.length === 1 && !isMulti) {
    return `${head},"channel_name":${JSON.stringify(only[0])},${contentJson(contentOf(only[1]))}}`;
  }
  const members = channels.map(([name, content]) => `${JSON.stringify(name)}:{${contentJson(contentOf(content))}}`);
  return `${head},"channels":{${members.join(',')}}}`;
}

/** Sends a chunk once and writes down what came of it. Never throws for what happens to the request. */
export async function sendChunk(client: Client, history: History, by: string, request: ChunkRequest): Promise<Sent> {
  const { dataId, index, channels } = request;
  const writes = channels.map(([channel, content]) => ({ dataId, channel, index, content }));
  const attempt = history.begin(by, writes);
  try {
    const answer = await client.send('POST', chunkPath(request), chunkBody(request));
    const outcome = outcomeOf(answer);
    history.end(attempt, outcome, `${answer.status} ${answer.body.slice(0, 200)}`);
    return { outcome, answer, failure: undefined, totals: outcome === 'stored' ? totalsOf(answer.body) : new Map() };
  } catch (error) {
    history.end(attempt, 'unknown', (error as Error).message);
    return { outcome: 'unknown', answer: undefined, failure: error as Error, totals: new Map() };
  }
}

/** A refusal promises that nothing was stored, unless it says otherwise or is none that a client could expect. */
export function outcomeOf({ status, body }: Answer): Outcome {
  if (status === 201) return 'stored';
  if (status === 503 && body.includes('may have been stored')) return 'unknown';
  return status < 500 || status === 503 ? 'refused' : 'unknown';
}

export function totalsOf(body: string): Map<string, number> {
  const receipts = [JSON.parse(body)].flat() as { channel_name: string; total_points: number }[];
  return new Map(receipts.map((receipt) => [receipt.channel_name, receipt.total_points]));
}
