import type { ComponentChildren } from 'preact';
import { follow } from '../run/toolbar.tsx';
import type { Board } from './board.ts';
import { plotKey } from './gestures.ts';

/** Makes the plots one element that takes the focus, and handles its keys. */
export function PlotKeys({ board, children }: { board: Board; children: ComponentChildren }) {
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== event.currentTarget) return;
    const actions = { follow: () => follow(board), all: () => board.setWindow({ kind: 'all' }) };
    if (plotKey(event.key, board, actions)) event.preventDefault();
  };
  const label = 'Plots. Arrow keys move, plus and minus zoom, 0 shows all, F follows.';
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for a form; these are pictures.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the keys need an element that takes the focus.
    <div class="plot-keys" tabIndex={0} role="group" aria-label={label} onKeyDown={onKeyDown}>
      {children}
    </div>
  );
}
