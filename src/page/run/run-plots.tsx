import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ApiFailure } from '../api/failure.ts';
import type { Ledger } from '../api/ledger.ts';
import { openSeries } from '../api/readings.ts';
import { screensRead, useTheme, useWidth } from '../lib/hooks.ts';
import { show } from '../navigation.ts';
import { type Board, createBoard } from '../plot/board.ts';
import { readColors } from '../plot/colors.ts';
import type { Mark } from '../plot/honesty.ts';
import type { PanelLine } from '../plot/panel.tsx';
import { PlotKeys } from '../plot/plot-keys.tsx';
import { type Panel, panelsOf, putTogether, toggled } from '../plot/shown.ts';
import { TimeAxis, tickCount } from '../plot/time-axis.tsx';
import type { Range } from '../plot/window.ts';
import { ticksOf } from '../time/ticks.ts';
import { type RunState, stateOf } from '../url-state.ts';
import { marksOf } from './channel-facts.ts';
import type { OpenRun } from './open-run.ts';
import { PlotCard, type PlotFrame } from './plot-card.tsx';
import { Toolbar } from './toolbar.tsx';

interface RunPlotsProps {
  state: RunState;
  run: OpenRun;
  ledger: Ledger | undefined;
  onBoard(board: Board | undefined): void;
  onFailure(failure: ApiFailure | undefined): void;
  /** Called when everything on the screen has been read. */
  onPicture(): void;
  onLedger(channel: string): void;
}

/** All plots of a run below each other, with one time axis and one cursor. */
export function RunPlots({ state, run, ledger, onBoard, onFailure, onPicture, onLedger }: RunPlotsProps) {
  const { place, width } = useWidth<HTMLDivElement>();
  const theme = useTheme();
  const colors = useMemo(readColors, [theme]);
  const board = useBoard(state, run, { onBoard, onFailure, onPicture });
  useEffect(() => board.setWidth(width), [board, width]);
  const { window: spec, shown, times } = state;
  const change = (next: Partial<RunState>) => show({ ...state, ...next }, { replace: true });

  const facts = useMemo(() => new Map(run.channels.map((channel) => [channel.name, channel])), [run.channels]);
  const chunks = useMemo(() => new Map(ledger?.channels.map((one) => [one.channel_name, one])), [ledger]);
  const names = run.channels.map(({ name }) => name);
  const panels = panelsOf(names, shown);
  const unitsOf = (name: string) => facts.get(name)?.units ?? chunks.get(name)?.units ?? null;
  const rightAxes = Math.max(0, ...panels.map(({ channels }) => new Set(channels.map(unitsOf)).size - 1));
  const startMs = board.startOf(state.dataId);
  const ticks = ({ fromMs, toMs }: Range) =>
    ticksOf(fromMs, toMs, tickCount(width, rightAxes), times, startMs).map(({ ms }) => ms);
  const frame: PlotFrame = { board, width, height: width < 500 ? 130 : 160, rightAxes, colors, ticks };
  const marks = useStable(chunks, marksOf);
  const linesOf = ({ channels }: Panel): PanelLine[] =>
    channels.map((name, i) => ({
      ...{ dataId: state.dataId, channel: name, label: name, units: unitsOf(name) },
      color: colors.lines[(channels.length > 1 ? i : names.indexOf(name)) % colors.lines.length] as string,
      marks: marks(name),
    }));

  return (
    <div class="plots" ref={place}>
      <Toolbar
        board={board}
        spec={spec}
        isGrowing={run.status === 'live'}
        times={times}
        onTimes={(next) => change({ times: next })}
      />
      <PlotKeys board={board}>
        {panels.map((panel) => (
          <PlotCard
            key={panel.channels.join('\0')}
            {...{ frame, panel, facts, names, onLedger }}
            lines={linesOf(panel)}
            ledger={chunks}
            onHide={(name) => change({ shown: { ...shown, hidden: toggled(shown.hidden, name) } })}
            onLog={() => change({ shown: { ...shown, log: logAfter(shown.log, panel) } })}
            onTogether={(name, mate) => change({ shown: putTogether(shown, name, mate) })}
          />
        ))}
      </PlotKeys>
      {panels.length > 0 && <TimeAxis {...{ board, width, rightAxes, colors, startMs }} style={times} />}
    </div>
  );
}

/** The channels with a logarithmic axis after a click: the channels of a plot change together. */
const logAfter = (log: readonly string[], panel: Panel) =>
  panel.log ? log.filter((name) => !panel.channels.includes(name)) : [...log, ...panel.channels];

/** Guesses in pixels, before the layout is known: the height of a plot with its texts, and the width that is not of the plots. */
const guessed = { cardHeight: 240, sideWidth: 356, sideFrom: 1_000, edges: 32 };

/** A guess of the channels that the first screen will show. If it shows more, they are read when their plots exist. */
function firstOnScreen({ dataId, shown }: RunState, { channels }: OpenRun) {
  const panels = panelsOf(
    channels.map(({ name }) => name),
    shown,
  );
  const count = Math.max(1, Math.round((innerHeight * screensRead) / guessed.cardHeight));
  return {
    traces: panels.slice(0, count).flatMap((panel) => panel.channels.map((channel) => ({ dataId, channel }))),
    width: innerWidth - (innerWidth > guessed.sideFrom ? guessed.sideWidth : guessed.edges),
  };
}

/** The board of a run. It writes its window into the address, and follows the address when something else changes it. */
function useBoard(
  state: RunState,
  run: OpenRun,
  callbacks: Pick<RunPlotsProps, 'onBoard' | 'onFailure' | 'onPicture'>,
): Board {
  const latest = useRef({ state, callbacks });
  latest.current = { state, callbacks };
  const { dataId } = state;
  // The window that both the board and the address last had, as JSON.
  const agreed = useRef(JSON.stringify(state.window));
  const board = useMemo(() => {
    return createBoard({
      runs: [{ dataId, span: run.outline.span, read: openSeries(dataId, run.outline.properties) }],
      spec: state.window,
      isAligned: false,
      first: firstOnScreen(state, run),
      onWindow: (window) => {
        show({ ...latest.current.state, window }, { replace: true });
        agreed.current = JSON.stringify((stateOf(location.search) as RunState).window);
      },
      onFailure: (failure) => latest.current.callbacks.onFailure(failure),
      onPicture: () => latest.current.callbacks.onPicture(),
    });
  }, [dataId]);
  const spec = JSON.stringify(state.window);
  useEffect(() => {
    // The Back button, or an edited address. A window that the board has written itself is ignored: while the page renders
    // with it, the user may have moved the window further.
    if (agreed.current === spec) return;
    agreed.current = spec;
    if (JSON.stringify(board.spec()) !== spec) board.setWindow(JSON.parse(spec), false);
  }, [board, spec]);
  useEffect(() => {
    latest.current.callbacks.onBoard(board);
    return () => {
      latest.current.callbacks.onBoard(undefined);
      board.close();
    };
  }, [board]);
  return board;
}

/** A function that makes something of an entry of a map, and returns the same object as long as the entry is the same. */
function useStable<Value>(
  map: ReadonlyMap<string, Value>,
  make: (value: Value | undefined) => Mark[],
): (name: string) => Mark[] {
  const [made] = useState(() => new Map<string, { of: Value | undefined; marks: Mark[] }>());
  return (name) => {
    const value = map.get(name);
    const before = made.get(name);
    if (before !== undefined && before.of === value) return before.marks;
    const marks = make(value);
    made.set(name, { of: value, marks });
    return marks;
  };
}
