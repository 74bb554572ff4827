import type { ListRow } from '../lib/list-row.ts';
import { rowPages } from '../lib/row-pages.ts';

/**
 * Reads a list page by page.
 * @param next gives at most `countMax` rows after a row in the order of the list, or the first ones
 * @param apart gives the way to read a row's document separately; undefined if the row includes it
 */
export async function* pagesOf<Row>(
  countMax: number,
  next: (after: Row | undefined, countMax: number) => Promise<Row[]>,
  apart: (row: Row) => ListRow['apart'] = () => undefined,
): AsyncGenerator<ListRow[], void, void> {
  for await (const page of rowPages<Row>(countMax, (after) => next(after, countMax)))
    yield page.map((row) => ({ row, apart: apart(row) }));
}
