import { useEffect, useRef, useState } from 'preact/hooks';
import type { NamedLink, Run } from '../api/runs.ts';
import { useNow } from '../lib/hooks.ts';
import { formatCount } from '../lib/numbers.ts';
import { linkTo } from '../navigation.ts';
import { StatusMark } from '../run/status-mark.tsx';
import { formatAge, formatDuration, formatTime } from '../time/format.ts';
import { runState } from '../url-state.ts';
import { rowsInView } from './run-list.ts';

/** Heights of a row, as the style sheet has them: on a wide screen, and on a narrow one with two lines. */
const rowPixels = { wide: 44, narrow: 88 };
const narrow = '(max-width: 900px)';

interface RunTableProps {
  runs: readonly Run[];
  /** Number of rows, including those that were not read yet. */
  total: number;
  chosen: ReadonlySet<string>;
  onToggle(dataId: string): void;
  /** Called when rows that were not read yet come near the screen. */
  onMore(): void;
}

/** A table of any length. Only the rows near the screen are in the document. */
export function RunTable({ runs, total, chosen, onToggle, onMore }: RunTableProps) {
  const place = useRef<HTMLTableElement>(null);
  const rowHeight = useRowHeight();
  const { first, last } = useScrolledRows(place, rowHeight, total);
  const now = useNow(1_000);
  const shown = runs.slice(first, last);
  useEffect(() => {
    if (last > runs.length) onMore();
  }, [last, runs.length]);
  const end = first + shown.length;
  return (
    <table class="run-table" ref={place} aria-rowcount={total + 1}>
      <thead>
        <tr aria-rowindex={1}>
          <th scope="col">
            <span class="unseen">Chosen</span>
          </th>
          {['Run', 'State', 'Sample', 'Project', 'Instrument', 'Tags', 'User', 'Length', 'Points', 'Missing'].map(
            (name) => (
              <th scope="col" key={name}>
                {name}
              </th>
            ),
          )}
        </tr>
      </thead>
      <tbody>
        {first > 0 && <Filler height={first * rowHeight} />}
        {shown.map((run, i) => (
          <RunRow
            key={run.data_id}
            {...{ run, now }}
            index={first + i + 2}
            isChosen={chosen.has(run.data_id)}
            onToggle={onToggle}
          />
        ))}
        {end < total && <Filler height={(total - end) * rowHeight} />}
      </tbody>
    </table>
  );
}

/** An empty row with the height of the rows that are not in the document. */
function Filler({ height }: { height: number }) {
  return (
    <tr class="filler" style={{ height: `${height}px` }}>
      <td colSpan={11} />
    </tr>
  );
}

interface RunRowProps {
  run: Run;
  index: number;
  now: number;
  isChosen: boolean;
  onToggle(dataId: string): void;
}

function RunRow({ run, index, now, isChosen, onToggle }: RunRowProps) {
  const created = Date.parse(run.created_at);
  return (
    <tr aria-rowindex={index} class={isChosen ? 'chosen' : ''}>
      <td class="cell-check">
        <label class="hit">
          <input
            type="checkbox"
            checked={isChosen}
            aria-label={`Choose ${run.name}`}
            onChange={() => onToggle(run.data_id)}
          />
        </label>
      </td>
      <th scope="row" class="cell-name">
        <a {...linkTo(runState(run.data_id))} dir="auto" title={run.name}>
          {run.name}
        </a>
        <span class="when">{formatTime(created - (created % 1_000), 'local', 0)}</span>
      </th>
      <td class="cell-state">
        <StatusMark status={run.status} />
        {run.status === 'live' && run.last_chunk_at !== null && (
          <span class="age" title="last chunk">
            {formatAge(Math.max(0, now - Date.parse(run.last_chunk_at)))}
          </span>
        )}
      </td>
      <Words class="cell-sample" text={nameOf(run.sample)} />
      <Words class="cell-project" text={nameOf(run.project)} />
      <Words class="cell-instrument" text={nameOf(run.instrument)} />
      <td class="cell-tags" title={run.tags.join(', ')}>
        {run.tags.map((tag) => (
          <span class="tag" dir="auto" key={tag}>
            {tag}
          </span>
        ))}
      </td>
      <Words class="cell-user" text={run.user} />
      <td class="number">{run.seconds === null ? '' : formatDuration(run.seconds * 1_000)}</td>
      <td class="number">{formatCount(run.point_count)}</td>
      <td class={run.missing_chunk_count ? 'number warning' : 'number'}>
        {run.missing_chunk_count === null
          ? '?'
          : `${run.missing_chunk_count > 0 ? '▨ ' : ''}${formatCount(run.missing_chunk_count)}`}
      </td>
    </tr>
  );
}

function Words({ text, ...rest }: { text: string; class: string }) {
  return (
    <td {...rest} dir="auto" title={text}>
      {text}
    </td>
  );
}

const nameOf = (one: NamedLink | null) => one?.name ?? '';

function useRowHeight(): number {
  const [isNarrow, setNarrow] = useState(matchMedia(narrow).matches);
  useEffect(() => {
    const query = matchMedia(narrow);
    const look = () => setNarrow(query.matches);
    query.addEventListener('change', look);
    return () => query.removeEventListener('change', look);
  }, []);
  return isNarrow ? rowPixels.narrow : rowPixels.wide;
}

/** The range of rows that are near the screen. The table scrolls with the page. */
function useScrolledRows(place: { current: HTMLTableElement | null }, rowHeight: number, total: number) {
  const [rows, setRows] = useState({ first: 0, last: Math.min(total, 40) });
  useEffect(() => {
    const look = () => {
      const body = place.current?.tBodies[0]?.getBoundingClientRect();
      if (body === undefined) return;
      const next = rowsInView(Math.max(0, -body.top), innerHeight, rowHeight, total);
      setRows((before) => (before.first === next.first && before.last === next.last ? before : next));
    };
    look();
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    return () => {
      removeEventListener('scroll', look);
      removeEventListener('resize', look);
    };
  }, [rowHeight, total]);
  return rows;
}
