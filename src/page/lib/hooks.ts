import { useEffect, useRef, useState } from 'preact/hooks';
import { isPassing, repeatMs } from '../api/failure.ts';

/** A read from the server: its value or its error, and a function that reads again. */
export interface Loaded<Value> {
  value: Value | undefined;
  error: Error | undefined;
  again(): void;
}

/** Reads whenever `inputs` change, and again while the server is away. The answer to an earlier read is dropped. */
export function useLoaded<Value>(
  read: (signal: AbortSignal) => Promise<Value>,
  inputs: readonly unknown[],
): Loaded<Value> {
  const [state, setState] = useState<{ value: Value | undefined; error: Error | undefined }>({
    value: undefined,
    error: undefined,
  });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    read(abort.signal).then(
      (value) => !abort.signal.aborted && setState({ value, error: undefined }),
      (error: Error) => {
        if (abort.signal.aborted) return;
        setState(({ value }) => ({ value, error }));
        if (isPassing(error)) timer = setTimeout(() => setTurn((count) => count + 1), repeatMs);
      },
    );
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [turn, ...inputs]);
  return { ...state, again: () => setTurn((count) => count + 1) };
}

/** The current time in Unix ms, updated every `everyMs`. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** The width of an element in pixels; the component renders again when it changes. */
export function useWidth<E extends HTMLElement>() {
  const place = useRef<E>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)));
    observer.observe(element);
    setWidth(Math.floor(element.clientWidth));
    return () => observer.disconnect();
  }, []);
  return { place, width };
}

/** An element this near to the screen counts as on it. In heights of the screen. */
const nearScreen = 0.25;
/** The height from the top of a view that counts as on the screen at first. In heights of the screen. */
export const screensRead = 1 + nearScreen;

/** Whether an element is on the screen, or near it. */
export function useOnScreen<E extends HTMLElement>() {
  const place = useRef<E>(null);
  const [isOnScreen, set] = useState(false);
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const observer = new IntersectionObserver((entries) => set(entries.some(({ isIntersecting }) => isIntersecting)), {
      rootMargin: `${nearScreen * 100}% 0%`,
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return { place, isOnScreen };
}

/** The theme, `light` or `dark`; the component renders again when it changes. */
export function useTheme(): string {
  const [theme, setTheme] = useState(themeNow());
  useEffect(() => {
    const look = () => setTheme(themeNow());
    const query = matchMedia('(prefers-color-scheme: dark)');
    const observer = new MutationObserver(look);
    query.addEventListener('change', look);
    observer.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      query.removeEventListener('change', look);
      observer.disconnect();
    };
  }, []);
  return theme;
}

const themeNow = () =>
  document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
