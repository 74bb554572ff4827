import type { FastifyReply } from 'fastify';
import { type Pieces, pieceBytes } from '../lib/json-writer.ts';
import type { ListRow } from '../lib/list-row.ts';
import { sendPieces } from './send-pieces.ts';

/** Pages of rows without such a document. */
export async function* asRows(pages: AsyncIterable<readonly unknown[]>): AsyncGenerator<ListRow[], void, void> {
  for await (const page of pages) yield page.map((row) => ({ row }));
}

/**
 * Answers rows as one JSON array, written by the route's schema, page by page as the client reads them: no more of a list
 * than a page is in memory, and between two pages others have their turn. A list that is over before a piece is full is
 * answered at once. What fails before that is an answer of its own; what fails later cuts the connection.
 * @returns the reply, which is in no schema: hence never
 */
export async function sendList(reply: FastifyReply, pages: AsyncIterable<readonly ListRow[]>): Promise<never> {
  const pieces = piecesOf(reply, pages);
  const first = await pieces.next();
  const second = await pieces.next();
  if (second.done) return reply.type(json).send(first.value) as never;
  // Nobody gets the rest of it.
  if (reply.request.method === 'HEAD') await pieces.return();
  return sendPieces(reply, resumed([first.value as Buffer, second.value], pieces)) as never;
}

const json = 'application/json; charset=utf-8';

async function* resumed(begun: Buffer[], rest: Pieces): Pieces {
  yield* begun;
  yield* rest;
}

async function* piecesOf(reply: FastifyReply, pages: AsyncIterable<readonly ListRow[]>): Pieces {
  const write = reply.getSerializationFunction('200') as unknown as (rows: unknown[]) => string;
  let text = '[';
  let isEmpty = true;
  /** Adds rows that come in brackets of their own. */
  const add = (rows: string) => {
    if (rows === '[]') return;
    text += isEmpty ? rows.slice(1, -1) : `,${rows.slice(1, -1)}`;
    isEmpty = false;
  };
  for await (const page of pages) {
    if (page.every(({ apart }) => apart === undefined)) add(write(page.map(({ row }) => row)));
    else for (const { row, apart } of page) add(await withDocument(write([row]), apart));
    if (text.length < pieceBytes) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(`${text}]`);
}

/** Puts the text of a document in the place of its null. Inside of a text of the row, its quotes would be escaped. */
async function withDocument(row: string, apart: ListRow['apart']): Promise<string> {
  if (apart === undefined) return row;
  const name = `"${apart.key}":`;
  const at = row.indexOf(`${name}null`) + name.length;
  return row.slice(0, at) + (await apart.read()) + row.slice(at + 'null'.length);
}
