import { ApiError } from '../errors.ts';
import type { HttpLimits } from '../http/limits.ts';
import type { JsonLimits } from '../http/parse-json.ts';
import { countJson } from '../lib/json-counts.ts';
import type { PlausibleTimes } from '../lib/time-unit.ts';
import { createWorkThread } from '../lib/work-thread.ts';
import { unpackArrivals } from './arrival-pack.ts';
import {
  type ChunkBodies,
  type ChunkForm,
  type ChunkReadingLimits,
  ChunkRequest,
  createChunkBodies,
} from './chunk-body.ts';
import type { ThreadResult, ThreadTask } from './chunk-thread.ts';
import type { StreamLimits } from './limits.ts';

/** Reads the bodies of chunks, on the event loop or in a thread. */
export interface ChunkReader {
  /** Takes over the body: the caller must not use it any more. @throws ApiError 400, 413, 422 */
  read(form: ChunkForm, body: Buffer, organizationId: string): ChunkRequest | Promise<ChunkRequest>;
  validator: ChunkBodies['validator'];
  close(): Promise<void>;
}

interface Options {
  json: JsonLimits & PlausibleTimes & Pick<HttpLimits, 'unknownNamesShownMax'>;
  limits: StreamLimits;
  /** Whether series may be packed already (database/readiness.ts). */
  packs(): boolean;
}

/** Compiled by the build. From `src` and from `dist` the path leads to the same file. */
const threadFile = new URL('../../dist/streams/chunk-thread.js', import.meta.url);

/**
 * Reads small bodies on the event loop and large ones in a thread, so that they do not block it. Organizations take
 * turns in the thread.
 */
export function createChunkReader({ json, limits, packs }: Options): ChunkReader {
  const { bodyContainersMax, bodyStringsMax, uncountedBodyBytesMax, unknownNamesShownMax } = json;
  const { plausibleSecondsMin, plausibleSecondsMax } = json;
  const { channelsPerRequestMax } = limits;
  const own: ChunkReadingLimits = {
    bodyContainersMax,
    bodyStringsMax,
    uncountedBodyBytesMax,
    unknownNamesShownMax,
    channelsPerRequestMax,
    plausibleSecondsMin,
    plausibleSecondsMax,
  };
  const bodies = createChunkBodies(own);
  const thread = createWorkThread<ThreadTask, ThreadResult>({
    file: threadFile,
    workerData: own,
    idleMs: limits.threadIdleMs,
  });

  async function readInThread(form: ChunkForm, body: Buffer, organizationId: string): Promise<ChunkRequest> {
    const owned = ownMemoryOf(body);
    const result = await thread.run(organizationId, { form, body: owned, packs: packs() }, [owned.buffer]);
    if ('refusal' in result) {
      const { code, detail, dataId } = result.refusal;
      throw Object.assign(new ApiError(code, detail), { dataId });
    }
    return new ChunkRequest(result.dataId, result.chunkIndex, unpackArrivals(result.packed), result.notes);
  }

  /** Whether reading the body would block the event loop for too long. */
  function isLong(body: Buffer): boolean {
    if (body.length > limits.loopBodyBytesMax) return true;
    if (body.length <= uncountedBodyBytesMax) return false;
    const max = { containers: Number.POSITIVE_INFINITY, strings: limits.loopBodyStringsMax };
    return countJson(body, max).strings > limits.loopBodyStringsMax;
  }

  return {
    read: (form, body, organizationId) =>
      isLong(body) ? readInThread(form, body, organizationId) : bodies.read(form, body, packs()),
    validator: bodies.validator,
    close: () => thread.close(),
  };
}

/** The bytes in an ArrayBuffer of their own, which can be transferred. Small Buffers share one, and are copied. */
function ownMemoryOf(body: Buffer): Uint8Array<ArrayBuffer> {
  const isAlone = body.byteLength === body.buffer.byteLength && body.buffer instanceof ArrayBuffer;
  return isAlone ? (body as Uint8Array<ArrayBuffer>) : new Uint8Array(body);
}
