import { parentPort, workerData } from 'node:worker_threads';
import { ApiError, type ErrorCode, type ValidationDetail } from '../errors.ts';
import type { JsonLimits } from '../http/parse-json.ts';
import { type PackedArrivals, packArrivals } from './arrival-pack.ts';
import { type ChunkForm, createChunkBodies } from './chunk-body.ts';
import type { ChunkBodyLimits } from './schemas.ts';

/*
 * The thread in which large bodies of chunks are read, by the function that reads small ones on the event loop, so that both
 * are answered alike.
 */

/** Given to the thread when it starts. */
export type ThreadLimits = JsonLimits & ChunkBodyLimits;

export interface ThreadTask {
  form: ChunkForm;
  body: Uint8Array<ArrayBuffer>;
}

export type ThreadResult =
  | { dataId: string; chunkIndex: number; packed: PackedArrivals }
  | { refusal: { code: ErrorCode; detail: string | ValidationDetail[] } };

const bodies = createChunkBodies(workerData as ThreadLimits);

parentPort?.on('message', (task: ThreadTask) => {
  const result = read(task);
  const transfer = 'packed' in result ? [result.packed.bytes.buffer, result.packed.numbers.buffer] : [];
  parentPort?.postMessage(result, transfer);
});

function read({ form, body }: ThreadTask): ThreadResult {
  try {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const { dataId, chunkIndex, arrivals } = bodies.read(form, bytes);
    return { dataId, chunkIndex, packed: packArrivals(arrivals) };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { refusal: { code: error.code, detail: error.detail } };
  }
}
