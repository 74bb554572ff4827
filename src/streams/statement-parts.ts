import type pg from 'pg';
import { nextTurn } from '../lib/turns.ts';
import type { PlacedRow } from './ingest-rows.ts';
import type { StreamLimits } from './limits.ts';

/** In what parts a statement of many rows is sent. */
export type PartLimits = Pick<StreamLimits, 'flushRowsMax' | 'statementRowsMax'>;

/**
 * Sends a statement for its rows, in parts. Those of a request of very many chunks, which is a flush by itself, go out in turns
 * of the event loop of their own: to encode 10,000 in one takes 40 ms.
 * @returns what each part has answered, in order
 */
export async function sendInParts<Answer extends pg.QueryResultRow>(
  client: pg.PoolClient,
  rows: readonly PlacedRow[],
  limits: PartLimits,
  statement: { name: string; text: string; values(part: readonly PlacedRow[]): unknown[] },
): Promise<Answer[]> {
  const { values, ...sql } = statement;
  const sent: Promise<pg.QueryResult<Answer>>[] = [];
  for (const part of statementParts(rows, limits)) {
    if (sent.length > 0 && rows.length > limits.flushRowsMax) await nextTurn();
    const answer = client.query<Answer>({ ...sql, values: values(part) });
    // It may fail before all are sent, and is awaited below.
    answer.catch(() => {});
    sent.push(answer);
  }
  return (await Promise.all(sent)).flatMap((answer) => answer.rows);
}

function statementParts(rows: readonly PlacedRow[], { statementRowsMax }: PartLimits): PlacedRow[][] {
  const count = Math.ceil(rows.length / statementRowsMax);
  return Array.from({ length: count }, (_, i) => rows.slice(i * statementRowsMax, (i + 1) * statementRowsMax));
}
