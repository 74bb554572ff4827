import { useEffect, useState } from 'preact/hooks';
import { hrefOf, type PageState, stateOf } from './url-state.ts';

/** Told when the page itself has changed the address; the browser tells of the Back button. */
const watchers = new Set<() => void>();

/** Shows something else. The Back button comes back to what was there, unless `replace` is true. */
export function show(state: PageState, { replace = false } = {}): void {
  const address = hrefOf(state);
  if (replace) history.replaceState(null, '', address);
  else history.pushState(null, '', address);
  for (const watcher of watchers) watcher();
  if (!replace) scrollTo(0, 0);
}

/** What the address shows. */
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

/** For links: a plain click stays on the page; any other does what a browser does with a link. */
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
