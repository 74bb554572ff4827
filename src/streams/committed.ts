import type { KnownRow } from './ingest-rows.ts';
import type { Stored } from './outcomes.ts';

/*
 * The one feed of ingest. After a commit it calls listeners with what was stored. The feed goes one way and is read
 * only: a listener cannot change an answer or make it fail.
 */

/** A chunk that is new or has replaced another one, as it is stored now. */
export type CommittedChunk = Readonly<KnownRow & Stored>;

export type OnCommitted = (chunks: readonly CommittedChunk[]) => void;

/**
 * Makes a function that calls all listeners with the chunks that changed. It calls none when nothing changed.
 * @param report is called with what a listener throws; the other listeners and the answer are not affected
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
