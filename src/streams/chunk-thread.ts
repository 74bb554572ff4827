import { parentPort, workerData } from 'node:worker_threads';
import { ApiError, type ErrorCode, type ValidationDetail } from '../errors.ts';
import { type PackedArrivals, packArrivals } from './arrival-pack.ts';
import { type BodyNotes, type ChunkForm, type ChunkReadingLimits, createChunkBodies } from './chunk-body.ts';

/*
 * The thread that reads large bodies of chunks. It uses the same function as the event loop uses for small ones, so
 * that both get the same answers.
 */

export interface ThreadTask {
  form: ChunkForm;
  body: Uint8Array<ArrayBuffer>;
  /** Series may be packed. */
  packs: boolean;
}

export type ThreadResult =
  | { dataId: string; chunkIndex: number; packed: PackedArrivals; notes: BodyNotes }
  | { refusal: { code: ErrorCode; detail: string | ValidationDetail[]; dataId: string | undefined } };

const bodies = createChunkBodies(workerData as ChunkReadingLimits);

parentPort?.on('message', (task: ThreadTask) => {
  const result = read(task);
  const transfer = 'packed' in result ? [result.packed.bytes.buffer, result.packed.numbers.buffer] : [];
  parentPort?.postMessage(result, transfer);
});

function read({ form, body, packs }: ThreadTask): ThreadResult {
  try {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const { dataId, chunkIndex, arrivals, unknownNames, roundedNumbers, implausibleTimes } = bodies.read(
      form,
      bytes,
      packs,
    );
    const notes = { unknownNames, roundedNumbers, implausibleTimes };
    return { dataId, chunkIndex, packed: packArrivals(arrivals), notes };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { refusal: { code: error.code, detail: error.detail, dataId: error.dataId } };
  }
}
