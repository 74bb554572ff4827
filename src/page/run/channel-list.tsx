import { useState } from 'preact/hooks';
import { show } from '../navigation.ts';
import { toggled } from '../plot/shown.ts';
import type { RunState } from '../url-state.ts';
import type { ChannelFacts } from './channel-facts.ts';

/** From this many channels on, the list has a search field. */
const searchedFrom = 12;

/** The list in which channels are shown and hidden. */
export function ChannelList({ state, channels }: { state: RunState; channels: readonly ChannelFacts[] }) {
  const [search, setSearch] = useState('');
  const { shown } = state;
  const setHidden = (hidden: string[]) => show({ ...state, shown: { ...shown, hidden } }, { replace: true });
  const wanted = search.trim().toLowerCase();
  const listed = channels.filter(({ name }) => name.toLowerCase().includes(wanted));
  const listedNames = listed.map(({ name }) => name);
  if (channels.length === 0) return null;
  return (
    <section class="card">
      <div class="card-head">
        <h2>Channels</h2>
        <button
          type="button"
          class="quiet"
          onClick={() => setHidden(shown.hidden.filter((name) => !listedNames.includes(name)))}
        >
          Show all
        </button>
        <button type="button" class="quiet" onClick={() => setHidden([...new Set([...shown.hidden, ...listedNames])])}>
          Hide all
        </button>
      </div>
      {channels.length >= searchedFrom && (
        <input
          type="search"
          aria-label="Channels by name"
          placeholder="by name"
          value={search}
          onInput={({ currentTarget }) => setSearch(currentTarget.value)}
        />
      )}
      <ul class="channel-list">
        {listed.map(({ name, units }) => (
          <li key={name}>
            <label class="check">
              <input
                type="checkbox"
                checked={!shown.hidden.includes(name)}
                onChange={() => setHidden(toggled(shown.hidden, name))}
              />
              <span class="channel-name" dir="auto" title={name}>
                {name}
              </span>
              <span class="units">{units}</span>
            </label>
          </li>
        ))}
      </ul>
    </section>
  );
}
