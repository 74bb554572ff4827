import type { CountedRequest } from './counted-request.ts';

/** What the reads of one connection have brought. */
export interface Arrivals {
  /** Bytes of all reads that were no body: heads, trailers, and what stands around the pieces of a body. */
  otherBytes: number;
  /** Bytes of the bodies of requests that have come whole. */
  bodiesBytes: number;
  /** The request whose body is still coming. */
  request: CountedRequest | undefined;
  /** Bytes of its body that earlier reads have brought. */
  requestBytes: number;
  /** Bytes of the heads that the read at hand has completed. */
  headsBytes: number;
  /** Bytes of a head or of trailers that are not complete, as far as can be known. */
  unfinishedBytes: number;
}

export const noArrivals = (): Arrivals => ({
  ...{ otherBytes: 0, bodiesBytes: 0, request: undefined, requestBytes: 0, headsBytes: 0, unfinishedBytes: 0 },
});

/** The head of a request is complete. */
export function addHead(arrivals: Arrivals, request: CountedRequest): void {
  arrivals.bodiesBytes += arrivals.request?.bodyBytes ?? 0;
  arrivals.request = request;
  arrivals.requestBytes = 0;
  arrivals.headsBytes += request.headBytes;
}

/**
 * Node has parsed a read of a connection. Nothing tells how far the parser is in a head, but what no body and no complete head is
 * made of belongs to one that is not complete, or to trailers.
 * @param bytesRead all that the connection has brought since it came
 * @returns the bytes of this read that were no body
 */
export function takeRead(arrivals: Arrivals, bytesRead: number): number {
  const { request, headsBytes } = arrivals;
  const bodyBytes = request?.bodyBytes ?? 0;
  const other = bytesRead - arrivals.bodiesBytes - bodyBytes - arrivals.otherBytes;
  const isProgress = headsBytes > 0 || bodyBytes > arrivals.requestBytes;
  arrivals.otherBytes += other;
  arrivals.headsBytes = 0;
  arrivals.requestBytes = bodyBytes;
  arrivals.unfinishedBytes = isProgress ? Math.max(0, other - headsBytes) : arrivals.unfinishedBytes + other;
  if (request === undefined) return other;
  if (request.complete) {
    arrivals.bodiesBytes += bodyBytes;
    arrivals.request = undefined;
  } else if (request.headers['transfer-encoding'] === undefined) {
    // A body with a length that Node throws away tells nobody of its bytes.
    arrivals.unfinishedBytes = 0;
  }
  return other;
}
