import { setTimeout as sleep } from 'node:timers/promises';
import { type ChunkRequest, type Sent, sendChunk } from './chunks.ts';
import type { Answer, Client } from './client.ts';
import type { History } from './history.ts';

/** How a release of the SDK tries; each try has 30 s, which is the client's to keep. */
export interface Generation {
  name: string;
  /** Pauses between tries, in ms: one less than tries. */
  pausesMs: readonly number[];
}

/** From 0.21.6 on (`retry.rs` in the wheel); `Retry-After` is not looked at. */
export const triesThrice: Generation = { name: 'three tries', pausesMs: [500, 1_000] };
/** Before 0.21.6. */
export const triesOnce: Generation = { name: 'one try', pausesMs: [] };

export interface SentAsSdk extends Sent {
  tries: number;
  /** The last try failed too, or could not be repeated: the SDK drops the chunk with a line in a log that is off. */
  isGivenUp: boolean;
}

/** Whether the SDK tries again: no answer, 5xx, 429, 408, or the 400 by which S3 says "RequestTimeout". */
export function isTransient(answer: Answer | undefined): boolean {
  if (answer === undefined) return true;
  const { status, body } = answer;
  return status >= 500 || status === 429 || status === 408 || (status === 400 && body.includes('RequestTimeout'));
}

/** Sends a chunk as a release of the SDK does. `onSent` is called with each try. */
export async function sendAsSdk(
  client: Client,
  history: History,
  by: string,
  request: ChunkRequest,
  { pausesMs }: Generation,
  onSent?: (sent: Sent) => void | Promise<void>,
): Promise<SentAsSdk> {
  for (let tries = 1; ; tries++) {
    const sent = await sendChunk(client, history, `${by}, try ${tries}`, request);
    await onSent?.(sent);
    if (sent.outcome === 'stored') return { ...sent, tries, isGivenUp: false };
    const pauseMs = pausesMs[tries - 1];
    if (pauseMs === undefined || !isTransient(sent.answer)) return { ...sent, tries, isGivenUp: true };
    await sleep(pauseMs);
  }
}
