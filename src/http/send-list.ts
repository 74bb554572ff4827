import type { FastifyReply } from 'fastify';
import { type Pieces, pieceBytes } from '../lib/json-writer.ts';
import type { ListRow } from '../lib/list-row.ts';
import { sendPieces } from './send-pieces.ts';

/** Turns pages of plain rows into pages of `ListRow`, for lists without separate documents. */
export async function* asRows(pages: AsyncIterable<readonly unknown[]>): AsyncGenerator<ListRow[], void, void> {
  for await (const page of pages) yield page.map((row) => ({ row }));
}

/**
 * Answers rows as one JSON array, serialised by the route's schema, page by page as the client reads them. Only a page
 * of the list is in memory, and between two pages other reads have their turn. A list that fits into one piece is
 * answered at once. An error in the first two pieces becomes an error answer; a later one cuts the connection.
 * @returns the reply; typed as never, since the type of a route's answer does not allow it
 */
export async function sendList(reply: FastifyReply, pages: AsyncIterable<readonly ListRow[]>): Promise<never> {
  const pieces = piecesOf(reply, pages);
  const first = await pieces.next();
  const second = await pieces.next();
  if (second.done) return reply.type(json).send(first.value) as never;
  // The rest of the list is not needed.
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
  /** Appends rows, given as a JSON array, without its brackets. */
  const add = (rows: string) => {
    if (rows === '[]') return;
    text += isEmpty ? rows.slice(1, -1) : `,${rows.slice(1, -1)}`;
    isEmpty = false;
  };
  const { rest } = reply.request.place.reading;
  await rest();
  for await (const page of pages) {
    await rest();
    if (page.every(({ apart }) => apart === undefined)) add(write(page.map(({ row }) => row)));
    else for (const { row, apart } of page) add(await withDocument(write([row]), apart));
    if (text.length < pieceBytes) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(`${text}]`);
}

/**
 * Replaces the null of a document by its text. It cannot match inside a string of the row, since quotes are escaped
 * there.
 */
async function withDocument(row: string, apart: ListRow['apart']): Promise<string> {
  if (apart === undefined) return row;
  const name = `"${apart.key}":`;
  const at = row.indexOf(`${name}null`) + name.length;
  return row.slice(0, at) + (await apart.read()) + row.slice(at + 'null'.length);
}
