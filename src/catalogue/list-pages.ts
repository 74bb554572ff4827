import type { ListRow } from '../lib/list-row.ts';
import { rowPages } from '../lib/row-pages.ts';

/**
 * A list, page by page.
 * @param next the rows that come after one in the order of the list, or the first ones; at most so many
 * @param apart how to read the document of a row that comes by itself
 */
export async function* pagesOf<Row>(
  countMax: number,
  next: (after: Row | undefined, countMax: number) => Promise<Row[]>,
  apart: (row: Row) => ListRow['apart'] = () => undefined,
): AsyncGenerator<ListRow[], void, void> {
  for await (const page of rowPages<Row>(countMax, (after) => next(after, countMax)))
    yield page.map((row) => ({ row, apart: apart(row) }));
}
