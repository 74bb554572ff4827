/** Where chunks go, and under which key. */
export interface Target {
  url: string;
  apiKey: string;
}

export interface Chunk {
  data_id: string;
  chunk_index: number;
  channel_name: string;
  timestamps: number[];
  values: (number | null)[];
}

/**
 * Sends a chunk until the server says that it has it. A chunk that is sent once more is stored once, so nobody has to know
 * whether it was the way there or the way back that failed.
 * @returns how often it was sent
 * @throws Error for what will not get better (4xx), and when `tries` are over
 */
export async function sendChunk(target: Target, chunk: Chunk, tries = 4, pauseMs = 50): Promise<number> {
  const headers = { 'x-api-key': target.apiKey, 'content-type': 'application/json' };
  const request = { method: 'POST', headers, body: JSON.stringify(chunk) };
  let failure = '';
  for (let sent = 1; sent <= tries; sent++) {
    try {
      const answer = await fetch(`${target.url}/metrology/stream/chunk`, request);
      const text = await answer.text();
      if (answer.ok) return sent;
      failure = `${answer.status}: ${text}`;
      if (answer.status < 500) break;
    } catch (error) {
      failure = String((error as Error).cause ?? error);
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  throw new Error(`chunk ${chunk.chunk_index} was not stored: ${failure}`);
}
