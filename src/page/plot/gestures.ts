import type { Board } from './board.ts';
import { leftPixels } from './chart.ts';
import { panned, type Range, zoomed } from './window.ts';

/** The factor by which one step of the wheel zooms. A key zooms by two steps. */
const step = 1.25;

/** For this long after the page has scrolled, the wheel goes on scrolling although a plot is now under the pointer. */
const scrollingMs = 400;

/**
 * The wheel zooms around the pointer; with Shift, or sideways, it moves the window. Dragging with Shift or the middle button
 * moves it, as one finger does; two fingers also zoom. Plain dragging is left to the plot, which zooms into the dragged range.
 * @returns a function that removes the listeners
 */
export function attachGestures(element: HTMLElement, board: Board): () => void {
  const listeners = new AbortController();
  const options = { signal: listeners.signal, capture: true };
  const placeOf = (x: number) => {
    const over = element.querySelector('.u-over')?.getBoundingClientRect();
    if (over === undefined || over.width === 0) return 0.5;
    return (x - over.left) / over.width;
  };
  const msAt = (place: number, { fromMs, toMs }: Range) => fromMs + (toMs - fromMs) * place;
  const set = (range: Range, isFinal = true) => board.setWindow({ kind: 'fixed', ...range }, isFinal);

  let scrolledMs = Number.NEGATIVE_INFINITY;
  addEventListener('scroll', () => (scrolledMs = performance.now()), { signal: listeners.signal, passive: true });
  element.addEventListener(
    'wheel',
    (event) => {
      const isOnPicture = (event.target as Element).closest('.u-over') !== null;
      if (!isOnPicture || performance.now() - scrolledMs < scrollingMs) return;
      event.preventDefault();
      const range = board.range();
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        set(panned(range, (event.deltaX || event.deltaY) / Math.max(200, element.clientWidth - leftPixels)));
      } else {
        set(zoomed(range, step ** Math.sign(event.deltaY), msAt(placeOf(event.clientX), range)));
      }
    },
    { ...options, passive: false },
  );

  const fingers = new Map<number, number>();
  let start: { range: Range; places: number[] } | undefined;
  const begin = () => {
    start = { range: board.range(), places: [...fingers.values()].map(placeOf) };
  };
  element.addEventListener(
    'pointerdown',
    (event) => {
      if (event.pointerType === 'touch') fingers.set(event.pointerId, event.clientX);
      else if (event.shiftKey || event.button === 1) fingers.set(event.pointerId, event.clientX);
      if (fingers.size === 0) return;
      event.preventDefault();
      event.stopPropagation();
      element.setPointerCapture(event.pointerId);
      begin();
    },
    options,
  );
  element.addEventListener(
    'pointermove',
    (event) => {
      if (!fingers.has(event.pointerId) || start === undefined) return;
      fingers.set(event.pointerId, event.clientX);
      const places = [...fingers.values()].map(placeOf);
      const moved = underFingers(start.range, start.places, places);
      if (moved !== undefined) set(moved, false);
    },
    options,
  );
  for (const name of ['pointerup', 'pointercancel'] as const) {
    element.addEventListener(
      name,
      (event) => {
        if (!fingers.delete(event.pointerId)) return;
        if (fingers.size > 0) return begin();
        start = undefined;
        if (board.spec().kind === 'fixed') set(board.range());
      },
      options,
    );
  }
  // uPlot listens to mouse events, which browsers send after pointer events.
  element.addEventListener(
    'mousedown',
    (event) => (event.shiftKey || event.button === 1) && event.stopPropagation(),
    options,
  );
  return () => listeners.abort();
}

/**
 * The window that keeps under each finger the instant where it went down. Places are fractions of the width.
 * @returns undefined when the fingers have hardly moved, or are too close to each other
 */
export function underFingers(
  { fromMs, toMs }: Range,
  before: readonly number[],
  now: readonly number[],
): Range | undefined {
  const width = toMs - fromMs;
  const [a0, b0] = [before[0] as number, before[1]];
  const [a1, b1] = [now[0] as number, now[1]];
  if (b0 === undefined || b1 === undefined) {
    const ms = (a0 - a1) * width;
    return Math.abs(a0 - a1) < 0.003 ? undefined : { fromMs: fromMs + ms, toMs: toMs + ms };
  }
  if (Math.abs(b1 - a1) < 0.02) return undefined;
  const next = (width * Math.abs(b0 - a0)) / Math.abs(b1 - a1);
  const left = fromMs + a0 * width - a1 * next;
  return { fromMs: left, toMs: left + next };
}

/** Handles a key that is pressed on the plots. @returns whether it has a meaning there */
export function plotKey(key: string, board: Board, actions: { follow(): void; all(): void }): boolean {
  const range = board.range();
  const windows: Record<string, () => Range> = {
    ArrowLeft: () => panned(range, -0.2),
    ArrowRight: () => panned(range, 0.2),
    '+': () => zoomed(range, 1 / step ** 2),
    '=': () => zoomed(range, 1 / step ** 2),
    '-': () => zoomed(range, step ** 2),
  };
  const window = windows[key];
  if (window !== undefined) board.setWindow({ kind: 'fixed', ...window() });
  else if (key === '0' || key === 'Home') actions.all();
  else if (key === 'f' || key === 'End') actions.follow();
  else return false;
  return true;
}
