import { useEffect, useRef, useState } from 'preact/hooks';
import { listInstruments, listProjects, listSamples, listTags, type NamedLink } from '../api/runs.ts';
import { show } from '../navigation.ts';
import { noFilters, type RunFilters } from '../url-state.ts';

/** A search is sent when nothing was typed for this long. */
const typedMs = 200;

/** Search and filters. They are kept in the address, so that a filtered list can be sent to somebody. */
export function Filters({ filters, users }: { filters: RunFilters; users: readonly string[] }) {
  const set = (change: Partial<RunFilters>) =>
    show({ view: 'runs', filters: { ...filters, ...change } }, { replace: true });
  const facets = useFacets();
  const isFiltered = Object.entries(filters).some(([name, value]) => name !== 'search' && value !== '');
  return (
    <search class="filters">
      <SearchField value={filters.search} onSearch={(search) => set({ search })} />
      <Choice
        label="State"
        value={filters.status}
        onChange={(status) => set({ status: status as RunFilters['status'] })}
        options={[
          ['live', 'live'],
          ['ended', 'ended'],
        ]}
      />
      <Choice label="Sample" value={filters.sample} onChange={(sample) => set({ sample })} options={facets.samples} />
      <Choice
        label="Project"
        value={filters.project}
        onChange={(project) => set({ project })}
        options={facets.projects}
      />
      <Choice
        label="Instrument"
        value={filters.instrument}
        onChange={(instrument) => set({ instrument })}
        options={facets.instruments}
      />
      <Choice label="Tag" value={filters.tag} onChange={(tag) => set({ tag })} options={facets.tags} />
      {(users.length > 1 || filters.user !== '') && (
        <Choice
          label="User"
          value={filters.user}
          onChange={(user) => set({ user })}
          options={users.map((user): Option => [user, user])}
        />
      )}
      {isFiltered && (
        <button
          type="button"
          class="quiet"
          onClick={() => show({ view: 'runs', filters: { ...noFilters, search: filters.search } }, { replace: true })}
        >
          Clear filters
        </button>
      )}
    </search>
  );
}

function SearchField({ value, onSearch }: { value: string; onSearch: (text: string) => void }) {
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => setText(value), [value]);
  const type = (typed: string) => {
    setText(typed);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onSearch(typed), typedMs);
  };
  return (
    <input
      type="search"
      class="search"
      aria-label="Search runs"
      placeholder="Search: name, sample, project, instrument, tag, channel, id"
      dir="auto"
      maxLength={1_000}
      value={text}
      onInput={({ currentTarget }) => type(currentTarget.value)}
    />
  );
}

type Option = [value: string, name: string];

function Choice(props: {
  label: string;
  value: string;
  options: readonly Option[];
  onChange: (value: string) => void;
}) {
  const { label, value, options, onChange } = props;
  if (options.length === 0 && value === '') return null;
  // A value from the address is shown even if the list does not have it.
  const all = value === '' || options.some(([one]) => one === value) ? options : [...options, [value, value] as Option];
  return (
    <select
      aria-label={label}
      value={value}
      class={value === '' ? '' : 'active'}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
    >
      <option value="">{label}: all</option>
      {all.map(([one, name]) => (
        <option key={one} value={one}>
          {name}
        </option>
      ))}
    </select>
  );
}

interface Facets {
  samples: Option[];
  projects: Option[];
  tags: Option[];
  instruments: Option[];
}

/** The options of the filters. A filter whose list cannot be read is left out. */
function useFacets(): Facets {
  const [facets, setFacets] = useState<Facets>({ samples: [], projects: [], tags: [], instruments: [] });
  useEffect(() => {
    const take = (name: keyof Facets, list: Promise<Option[]>) =>
      list.then(
        (options) => setFacets((before) => ({ ...before, [name]: byName(options) })),
        () => {},
      );
    const byId = (list: NamedLink[]): Option[] => list.map(({ id, name }) => [String(id), name]);
    take('samples', listSamples().then(byId));
    take('projects', listProjects().then(byId));
    take(
      'tags',
      listTags().then((tags) => tags.map(({ name }): Option => [name, name])),
    );
    take(
      'instruments',
      listInstruments().then((all) => all.map(instrumentOption)),
    );
  }, []);
  return facets;
}

const byName = (options: Option[]) => options.sort(([, a], [, b]) => a.localeCompare(b));

function instrumentOption(instrument: Record<string, unknown>): Option {
  const name = String(instrument.source_name);
  return [name, name];
}
