import { useEffect, useState } from 'preact/hooks';
import { formatCount, plural } from '../lib/numbers.ts';
import { show } from '../navigation.ts';
import { noFilters, type RunFilters } from '../url-state.ts';
import { Actions } from './actions.tsx';
import { StreamDemo } from './demo-button.tsx';
import { Filters } from './filters.tsx';
import { type LoadedRuns, rowCount } from './run-list.ts';
import { RunTable } from './run-table.tsx';
import { useRuns } from './use-runs.ts';

/** All runs: growing ones first, then newest first. */
export function RunsView({ filters }: { filters: RunFilters }) {
  const { list, error, isReading, again, remove, more } = useRuns(filters);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => {
    document.title = 'Runs';
  }, []);
  const runs = [...list.live, ...list.others];
  const isFiltered = JSON.stringify(filters) !== JSON.stringify(noFilters);
  const isEmpty = runs.length === 0 && !isReading && error === undefined;
  const toggle = (dataId: string) => {
    const next = new Set(chosen);
    if (!next.delete(dataId)) next.add(dataId);
    setChosen(next);
  };
  return (
    <main class="runs">
      <div class="runs-head">
        <h1>Runs</h1>
        <p class="quiet-text" role="status">
          {isReading && runs.length === 0 ? 'reading …' : countText(list, isFiltered)}
        </p>
      </div>
      <Filters filters={filters} users={[...new Set(runs.map(({ user }) => user))]} />
      {error !== undefined && (
        <p class="banner" role="alert">
          {error.message}{' '}
          <button type="button" onClick={again}>
            Try again
          </button>
        </p>
      )}
      <Actions
        runs={runs.filter(({ data_id }) => chosen.has(data_id))}
        onNone={() => setChosen(new Set())}
        onDeleted={(ids) => {
          remove(ids);
          setChosen(new Set());
        }}
        onChanged={again}
      />
      {isEmpty && isFiltered && (
        <p class="empty">
          No run matches.{' '}
          <button type="button" onClick={() => show({ view: 'runs', filters: noFilters }, { replace: true })}>
            Show all runs
          </button>
        </p>
      )}
      {isEmpty && !isFiltered && <StreamDemo />}
      {runs.length > 0 && <RunTable {...{ runs, chosen }} total={rowCount(list)} onToggle={toggle} onMore={more} />}
    </main>
  );
}

function countText(list: LoadedRuns, isFiltered: boolean): string {
  const here = list.live.length + list.others.length;
  const count = list.cursor === null ? here : list.total;
  const runs = count === null ? `more than ${formatCount(here)} runs` : plural(count, 'run');
  const live = list.live.length === 0 ? '' : `, ${formatCount(list.live.length)} live`;
  return `${runs}${isFiltered ? ' found' : ''}${live}`;
}
