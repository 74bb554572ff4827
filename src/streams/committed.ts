import type { PlacedRow } from './ingest-rows.ts';
import type { Stored } from './outcomes.ts';

/*
 * The one feed of ingest: what has been committed, told after the commit to whoever works with that. It goes one way and is
 * read only; nobody who is told can change an answer, delay it or make it fail.
 */

/** A chunk that is new or has replaced another one, as it is stored now. */
export type CommittedChunk = Readonly<PlacedRow & Stored>;

export type OnCommitted = (chunks: readonly CommittedChunk[]) => void;

/**
 * Tells several what has been committed, each the same; nothing where nothing has changed.
 * @param report is given what one of them throws, which the others and the answer do not notice
 */
export function tellAll(
  listeners: readonly OnCommitted[],
  report: (error: unknown) => void,
): (stored: readonly CommittedChunk[]) => void {
  return (stored) => {
    const chunks = stored.filter(({ outcome }) => outcome !== 'unchanged');
    if (chunks.length === 0) return;
    for (const listener of listeners) {
      try {
        listener(chunks);
      } catch (error) {
        report(error);
      }
    }
  };
}
