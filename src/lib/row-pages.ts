/**
 * Reads a list page by page, so that only one page is in memory.
 * @param next fetches at most `countMax` rows: those that follow `after` in the order of the list, or the first ones
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
