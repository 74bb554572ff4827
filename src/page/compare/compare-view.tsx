import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ApiFailure } from '../api/failure.ts';
import { openSeries } from '../api/readings.ts';
import { useLoaded, useTheme, useWidth } from '../lib/hooks.ts';
import { formatReading, plural } from '../lib/numbers.ts';
import { useLineBack } from '../live/use-live.ts';
import { linkTo, show } from '../navigation.ts';
import { type Board, createBoard } from '../plot/board.ts';
import { readColors } from '../plot/colors.ts';
import { type PanelLine, PlotPanel } from '../plot/panel.tsx';
import { PlotKeys } from '../plot/plot-keys.tsx';
import { TimeAxis, tickCount } from '../plot/time-axis.tsx';
import type { Range } from '../plot/window.ts';
import type { OpenRun } from '../run/open-run.ts';
import { toRuns } from '../run/run-view.tsx';
import { StatusMark } from '../run/status-mark.tsx';
import { Toolbar } from '../run/toolbar.tsx';
import { useGrowing } from '../run/use-growing.ts';
import { loadRun } from '../run/use-run.ts';
import { ticksOf } from '../time/ticks.ts';
import { Trouble } from '../trouble.tsx';
import { type CompareState, runState } from '../url-state.ts';

/** Compares up to four runs: one plot for each channel, with times counted from the start of each run. */
export function CompareView({ state }: { state: CompareState }) {
  const { dataIds } = state;
  const { value, error, again } = useLoaded(() => Promise.all(dataIds.map(loadRun)), [dataIds.join()]);
  useEffect(() => {
    document.title = 'Runs over each other';
  }, []);
  // The same list as long as the runs are the same: the board is made for it.
  const runs = useMemo(() => value?.filter((run) => run !== null) ?? [], [value]);
  if (error !== undefined) return <Trouble error={error} onAgain={again} />;
  if (value === undefined)
    return (
      <p class="wait quiet-text" role="status">
        Opening the runs …
      </p>
    );
  return (
    <main class="compare">
      <header class="run-head">
        <a class="back" {...toRuns()}>
          ← Runs
        </a>
        <h1>{runs.length === 1 ? 'One run' : `${runs.length} runs over each other`}</h1>
        <p class="quiet-text">Each from its own start.</p>
      </header>
      {runs.length < value.length && (
        <p class="banner">Not found: {plural(value.length - runs.length, 'run')} of this address.</p>
      )}
      {runs.length > 0 && <Overlay state={state} runs={runs} />}
    </main>
  );
}

function Overlay({ state, runs: opened }: { state: CompareState; runs: readonly OpenRun[] }) {
  const { place, width } = useWidth<HTMLDivElement>();
  const theme = useTheme();
  const [failure, setFailure] = useState<ApiFailure>();
  const colors = useMemo(readColors, [theme]);
  const board = useCompareBoard(state, opened, setFailure);
  const { runs } = useGrowing(opened, board.changed);
  useEffect(() => board.setWidth(width), [board, width]);
  useLineBack(board.again);
  const colorOf = (i: number) => colors.lines[i % colors.lines.length] as string;
  const names = [...new Set(runs.flatMap(({ channels }) => channels.map(({ name }) => name)))];
  const linesOf = (name: string): PanelLine[] =>
    runs.flatMap(({ entry, channels }, i) => {
      const facts = channels.find((channel) => channel.name === name);
      if (facts === undefined) return [];
      return [
        {
          dataId: entry.data_id,
          channel: name,
          label: entry.raw_name,
          units: facts.units,
          color: colorOf(i),
          marks: [],
        },
      ];
    });
  const panels = names.map((name) => ({ name, lines: linesOf(name) }));
  const rightAxes = Math.max(0, ...panels.map(({ lines }) => new Set(lines.map(({ units }) => units)).size - 1));
  const ticks = ({ fromMs, toMs }: Range) =>
    ticksOf(fromMs, toMs, tickCount(width, rightAxes), 'since', 0).map(({ ms }) => ms);
  return (
    <div class="plots" ref={place}>
      {failure !== undefined && (
        <p class="banner" role="alert">
          Reading the data: {failure.message} What is drawn may be old.
        </p>
      )}
      <ul class="legend">
        {runs.map(({ entry, status }, i) => (
          <li key={entry.data_id}>
            <span class="swatch" style={{ background: colorOf(i) }} />
            <a {...linkTo(runState(entry.data_id))} dir="auto">
              {entry.raw_name}
            </a>{' '}
            <StatusMark status={status} />
          </li>
        ))}
      </ul>
      <Toolbar board={board} spec={state.window} isGrowing={runs.some(({ status }) => status === 'live')} />
      <PlotKeys board={board}>
        {panels.map(({ name, lines }) => (
          <ChannelOverlay
            key={name}
            name={name}
            lines={lines}
            frame={{ board, width, height: 200, rightAxes, colors, ticks }}
          />
        ))}
      </PlotKeys>
      <TimeAxis {...{ board, width, rightAxes, colors }} style="since" startMs={0} />
    </div>
  );
}

function ChannelOverlay(props: {
  name: string;
  lines: PanelLine[];
  frame: Omit<Parameters<typeof PlotPanel>[0], 'lines' | 'isLog' | 'onDrawn' | 'onCursor'>;
}) {
  const { name, lines, frame } = props;
  const places = useRef<(HTMLElement | null)[]>([]);
  const onCursor = (values: (number | null | undefined)[]) => {
    values.forEach((value, i) => {
      const place = places.current[i];
      if (place) place.textContent = value === undefined ? '' : formatReading(value);
    });
  };
  return (
    <section class="plot-card" aria-label={`Plot of ${name}`}>
      <div class="plot-head">
        <h2 class="channel-name" dir="auto" title={name}>
          {name}
        </h2>
        {lines.map((line, i) => (
          <output
            key={line.dataId}
            class="at-cursor"
            style={{ color: line.color }}
            title={`${line.label} at the cursor`}
            ref={(place) => {
              places.current[i] = place;
            }}
          />
        ))}
        <p class="said">{lines.length === 1 ? `only in ${lines[0]?.label}` : ''}</p>
      </div>
      <PlotPanel {...frame} lines={lines} isLog={false} onDrawn={() => {}} onCursor={onCursor} />
    </section>
  );
}

function useCompareBoard(
  state: CompareState,
  runs: readonly OpenRun[],
  onFailure: (failure: ApiFailure | undefined) => void,
): Board {
  const latest = useRef(state);
  latest.current = state;
  const board = useMemo(
    () =>
      createBoard({
        runs: runs.map(({ entry, outline }) => ({
          dataId: entry.data_id,
          span: outline.span,
          read: openSeries(entry.data_id, outline.properties),
        })),
        spec: state.window,
        isAligned: true,
        onWindow: (window) => show({ ...latest.current, window }, { replace: true }),
        onFailure,
      }),
    [runs],
  );
  useEffect(() => () => board.close(), [board]);
  return board;
}
