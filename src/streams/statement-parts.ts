import type pg from 'pg';
import { nextTurn } from '../lib/turns.ts';
import type { KnownRow } from './ingest-rows.ts';
import type { StreamLimits } from './limits.ts';
import type { Form } from './statement-forms.ts';

/** The limits that decide how a statement of many rows is split. */
export type PartLimits = Pick<StreamLimits, 'flushRowsMax' | 'statementRowsMax'>;

export interface PartOptions {
  limits: PartLimits;
  form: Form;
}

/**
 * Sends a statement for many rows, in parts. A request of very many chunks is a flush by itself; each of its parts is
 * encoded in a turn of the event loop of its own, since encoding 10,000 chunks at once takes 40 ms.
 * @returns the rows of all answers, in order
 */
export async function sendInParts<Answer extends pg.QueryResultRow>(
  client: pg.PoolClient,
  rows: readonly KnownRow[],
  limits: PartLimits,
  statement: { name: string; text: string; values(part: readonly KnownRow[]): unknown[] },
): Promise<Answer[]> {
  const { values, ...sql } = statement;
  const sent: Promise<pg.QueryResult<Answer>>[] = [];
  for (const part of statementParts(rows, limits)) {
    if (sent.length > 0 && rows.length > limits.flushRowsMax) await nextTurn();
    const answer = client.query<Answer>({ ...sql, values: values(part) });
    // It may fail before all parts are sent. Its error is handled where it is awaited, below.
    answer.catch(() => {});
    sent.push(answer);
  }
  return (await Promise.all(sent)).flatMap((answer) => answer.rows);
}

function statementParts(rows: readonly KnownRow[], { statementRowsMax }: PartLimits): KnownRow[][] {
  const count = Math.ceil(rows.length / statementRowsMax);
  return Array.from({ length: count }, (_, i) => rows.slice(i * statementRowsMax, (i + 1) * statementRowsMax));
}
