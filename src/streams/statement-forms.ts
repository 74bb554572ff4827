/*
 * The two forms of a statement of ingest, both made from one text. On one PostgreSQL a statement works on rows of any
 * streams. In a cluster it works on rows of one stream: it compares `data_id` of every table with a parameter, so that
 * the coordinator sends it as a whole to the node that has the stream.
 */
import type pg from 'pg';

/** Which rows a statement is given: those of any streams, or those of one stream. */
export type Form = 'any streams' | 'one stream';

/** What a text differs in. */
export interface Differences {
  /** SQL, begun with `and`: the column is that of the one stream. Nothing for rows of any streams. */
  and(column: string): string;
  /** SQL for rows of any streams, or for those of one. */
  either(any: string, one: string): string;
}

export interface Statement {
  name: string;
  texts: Record<Form, string>;
}

/** @param parametersCount how many parameters the text itself has; the one stream comes after them */
export function inTwoForms(
  name: string,
  parametersCount: number,
  text: (differences: Differences) => string,
): Statement {
  const dataId = `$${parametersCount + 1}::uuid`;
  return {
    name,
    texts: {
      'any streams': text({ and: () => '', either: (any) => any }),
      'one stream': text({ and: (column) => `and ${column} = ${dataId}`, either: (_, one) => one }),
    },
  };
}

/** What a statement is for: a row, or something else of a stream. */
type OfStream = { item: { dataId: string } } | { dataId: string };

const dataIdOf = (one: OfStream | undefined) => one && ('item' in one ? one.item.dataId : one.dataId);

/** The statement in a form, ready to be sent. @param rows what it is for; in the form for one stream, of one stream */
export function inForm(
  { name, texts }: Statement,
  form: Form,
  values: unknown[],
  rows: readonly OfStream[],
): pg.QueryConfig {
  return { name, text: texts[form], values: form === 'one stream' ? [...values, dataIdOf(rows[0])] : values };
}
