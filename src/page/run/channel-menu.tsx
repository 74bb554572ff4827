import { useEffect, useRef } from 'preact/hooks';
import type { Panel } from '../plot/shown.ts';

interface ChannelMenuProps {
  name: string;
  panel: Panel;
  names: readonly string[];
  isAlone: boolean;
  onHide(name: string): void;
  onLog(name: string): void;
  onTogether(name: string, mate: string | undefined): void;
  onLedger(name: string): void;
}

/** What can be done with one channel. */
export function ChannelMenu({ name, panel, names, isAlone, onHide, onLog, onTogether, onLedger }: ChannelMenuProps) {
  const place = useRef<HTMLDetailsElement>(null);
  useEffect(() => closeOutside(place), []);
  const after = (act: () => void) => () => {
    place.current?.removeAttribute('open');
    act();
  };
  const others = names.filter((other) => !panel.channels.includes(other));
  return (
    <details class="menu" ref={place}>
      <summary aria-label={`What to do with ${name}`}>⋯</summary>
      <div class="menu-body">
        <button type="button" onClick={after(() => onLog(name))} aria-pressed={panel.log}>
          {panel.log ? 'Linear axis' : 'Logarithmic axis'}
        </button>
        {!isAlone && (
          <button type="button" onClick={after(() => onTogether(name, undefined))}>
            Into a plot of its own
          </button>
        )}
        {others.length > 0 && (
          <label>
            Into the plot of
            <select
              value=""
              onChange={({ currentTarget }) => {
                const mate = currentTarget.value;
                currentTarget.value = '';
                after(() => onTogether(name, mate))();
              }}
            >
              <option value="">choose …</option>
              {others.map((other) => (
                <option key={other} value={other}>
                  {other}
                </option>
              ))}
            </select>
          </label>
        )}
        <button type="button" onClick={after(() => onLedger(name))}>
          Chunks and revisions
        </button>
        <button type="button" onClick={after(() => onHide(name))}>
          Hide
        </button>
      </div>
    </details>
  );
}

/** An open menu closes when something else is clicked, or by Escape. */
export function closeOutside(place: { current: HTMLDetailsElement | null }): () => void {
  const listeners = new AbortController();
  const { signal } = listeners;
  document.addEventListener(
    'pointerdown',
    ({ target }) => {
      if (place.current?.open && !place.current.contains(target as Node)) place.current.open = false;
    },
    { signal },
  );
  document.addEventListener(
    'keydown',
    ({ key }) => {
      if (key !== 'Escape' || !place.current?.open) return;
      place.current.open = false;
      place.current.querySelector('summary')?.focus();
    },
    { signal },
  );
  return () => listeners.abort();
}
