import { useEffect, useState } from 'preact/hooks';
import { addressOf, type PageState, stateOf } from './url-state.ts';

const changes = new EventTarget();

/** Shows something else. The Back button comes back to what was there, unless `replace` is true. */
export function show(state: PageState, { replace = false } = {}): void {
  const address = addressOf(state);
  if (replace) history.replaceState(null, '', address);
  else history.pushState(null, '', address);
  changes.dispatchEvent(new Event('change'));
  if (!replace) scrollTo(0, 0);
}

/** What the address shows. */
export function usePageState(): PageState {
  const [state, setState] = useState(() => stateOf(location.search));
  useEffect(() => {
    const look = () => setState(stateOf(location.search));
    changes.addEventListener('change', look);
    addEventListener('popstate', look);
    return () => {
      changes.removeEventListener('change', look);
      removeEventListener('popstate', look);
    };
  }, []);
  return state;
}

/** For links: a plain click stays on the page; any other does what a browser does with a link. */
export function linkTo(state: PageState): { href: string; onClick: (event: MouseEvent) => void } {
  return {
    href: addressOf(state),
    onClick(event) {
      if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      show(state);
    },
  };
}
