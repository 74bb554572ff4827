import { useEffect, useState } from 'preact/hooks';
import { hrefOf, type PageState, stateOf } from './url-state.ts';

/** Called when the page has changed the address. For the Back button the browser has an event of its own (`popstate`). */
const watchers = new Set<() => void>();

/** Shows another state and writes it into the address. The Back button returns to the one before, unless `replace` is true. */
export function show(state: PageState, { replace = false } = {}): void {
  const address = hrefOf(state);
  if (replace) history.replaceState(null, '', address);
  else history.pushState(null, '', address);
  for (const watcher of watchers) watcher();
  if (!replace) scrollTo(0, 0);
}

/** The state that the address names; the component renders again when the address changes. */
export function usePageState(): PageState {
  const [state, setState] = useState(() => stateOf(location.search));
  useEffect(() => {
    const look = () => setState(stateOf(location.search));
    watchers.add(look);
    addEventListener('popstate', look);
    return () => {
      watchers.delete(look);
      removeEventListener('popstate', look);
    };
  }, []);
  return state;
}

/** Properties of a link within the page. A plain click does not reload; any other click does what the browser does. */
export function linkTo(state: PageState): { href: string; onClick: (event: MouseEvent) => void } {
  return {
    href: hrefOf(state),
    onClick(event) {
      if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      show(state);
    },
  };
}
