import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { type Pieces, pieceBytes } from '../lib/json-writer.ts';
import type { Place } from './reading-room.ts';

const json = 'application/json; charset=utf-8';

/**
 * Answers a read piece by piece, as fast as the client takes them (back-pressure). When the client goes, the read ends.
 */
export function sendPieces(reply: FastifyReply, pieces: Pieces, contentType = json): FastifyReply {
  const { place } = reply.request;
  const stream = Readable.from(inTurns(pieces, place), { objectMode: false, highWaterMark: pieceBytes });
  place.reading.signal.addEventListener('abort', () => stream.destroy());
  return reply.type(contentType).send(stream);
}

/** Makes each piece in a turn of this read, and gives its place back after the last one. */
export async function* inTurns(pieces: Pieces, place: Place): Pieces {
  try {
    for (;;) {
      await place.reading.rest();
      const { done, value } = await pieces.next();
      if (done) return;
      place.waitForClient();
      yield value;
      place.goOn();
    }
  } finally {
    await pieces.return();
    place.leave();
  }
}
