/** A row of an answer, and where a JSON document of it is read apart, under the key that is null in the row. */
export interface ListRow {
  row: unknown;
  apart?: { key: string; read: () => Promise<string> } | undefined;
}
