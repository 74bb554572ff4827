/**
 * A row of an answer. When `apart` is given, the JSON document at its `key` (null in the row) is read by a query of its
 * own.
 */
export interface ListRow {
  row: unknown;
  apart?: { key: string; read: () => Promise<string> } | undefined;
}
