import { useEffect, useRef, useState } from 'preact/hooks';
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

/** The menu of one channel. Its entries name every other channel, so they exist only while the menu is open. */
export function ChannelMenu(props: ChannelMenuProps) {
  const place = useRef<HTMLDetailsElement>(null);
  const [isOpen, setOpen] = useState(false);
  useEffect(() => closeOutside(place), []);
  return (
    <details class="menu" ref={place} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary aria-label={`What to do with ${props.name}`}>⋯</summary>
      {isOpen && <Entries {...props} onDone={() => place.current?.removeAttribute('open')} />}
    </details>
  );
}

type EntriesProps = ChannelMenuProps & { onDone(): void };

function Entries({ name, panel, names, isAlone, onHide, onLog, onTogether, onLedger, onDone }: EntriesProps) {
  const after = (act: () => void) => () => {
    onDone();
    act();
  };
  const others = names.filter((other) => !panel.channels.includes(other));
  return (
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
          <select value="" onChange={({ currentTarget }) => after(() => onTogether(name, currentTarget.value))()}>
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
  );
}

/** Closes an open menu on a click outside it, or by Escape. @returns a function that removes the listeners */
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
