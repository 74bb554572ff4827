import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { type Pieces, pieceBytes } from '../lib/json-writer.ts';

const json = 'application/json; charset=utf-8';

/** Sends an answer piece by piece, as fast as the client reads; when the client goes away the reading ends. */
export function sendPieces(reply: FastifyReply, pieces: Pieces, contentType = json): FastifyReply {
  return reply.type(contentType).send(Readable.from(pieces, { objectMode: false, highWaterMark: pieceBytes }));
}
