import { Counter, Histogram, type Registry } from 'prom-client';
import { errorStatus } from '../errors.ts';

/** The metrics of chunks: acknowledged chunks, their waiting time, and refused requests. */
export function chunkMetrics(registers: Registry[]) {
  const refusedChunkRequests = new Counter({
    name: 'metrology_chunk_requests_refused_total',
    help: 'Requests with chunks that were refused, by the reason',
    labelNames: ['reason'],
    registers,
  });
  // Every series begins with 0, because Prometheus sees no increase in a series that begins with 1.
  for (const reason of Object.keys(errorStatus)) refusedChunkRequests.inc({ reason }, 0);
  return {
    refusedChunkRequests,
    chunks: new Counter({
      name: 'metrology_chunks_total',
      help: 'Chunks acknowledged, by what became of them: created, unchanged or replaced',
      labelNames: ['outcome'],
      registers,
    }),
    points: new Counter({
      name: 'metrology_points_total',
      help: 'Points of chunks that were created or replaced',
      registers,
    }),
    chunkWaitSeconds: new Histogram({
      name: 'metrology_chunk_wait_seconds',
      help: 'Time that chunks of one request waited for their flush and were in it, whether they were stored then or not',
      buckets: waitBucketsSeconds,
      registers,
    }),
  };
}

/** The last bucket is the longest time until a request with chunks is answered (`streams.ingestMsMax`), rounded up. */
const waitBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 28];

const reasons = new Map<number, string>(Object.entries(errorStatus).map(([reason, status]) => [status, reason]));

/**
 * The reason of a refusal, by its status, which is different for each reason. Undefined for the status of any other
 * answer.
 */
export const reasonOf = (status: number): string | undefined => reasons.get(status);
