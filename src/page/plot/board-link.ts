import type { Board, Trace } from './board.ts';
import { type Range, united } from './window.ts';

/**
 * Passes changes to the board of a view. A board exists only after its view was rendered, so the changes that come before
 * are kept for it.
 */
export interface BoardLink {
  board(): Board | undefined;
  attach(board: Board | undefined): void;
  changed(trace: Trace, span: Range): void;
}

export function createBoardLink(): BoardLink {
  let board: Board | undefined;
  const kept = new Map<string, { trace: Trace; span: Range }>();
  return {
    board: () => board,
    attach(next) {
      board = next;
      if (board === undefined) return;
      for (const { trace, span } of kept.values()) board.changed(trace, span);
      kept.clear();
    },
    changed(trace, span) {
      if (board !== undefined) return board.changed(trace, span);
      const key = `${trace.dataId} ${trace.channel}`;
      kept.set(key, { trace, span: united(kept.get(key)?.span, span) });
    },
  };
}
