/**
 * A list, page by page: no more of it than a page is in memory.
 * @param next the rows that come after one in the order of the list, or the first ones; at most `countMax`
 */
export async function* rowPages<Row>(
  countMax: number,
  next: (after: Row | undefined) => Promise<Row[]>,
): AsyncGenerator<Row[], void, void> {
  let page: Row[];
  let after: Row | undefined;
  do {
    page = await next(after);
    yield page;
    after = page.at(-1);
  } while (page.length === countMax);
}
