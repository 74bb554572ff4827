import type { Board } from '../plot/board.ts';
import { follows, zoomed } from '../plot/window.ts';
import type { TimeStyle, WindowSpec } from '../url-state.ts';

/** The buttons that show the newest seconds. */
const lasts = [
  { seconds: 60, name: '1 min' },
  { seconds: 600, name: '10 min' },
  { seconds: 3_600, name: '1 h' },
  { seconds: 28_800, name: '8 h' },
];

interface ToolbarProps {
  board: Board;
  spec: WindowSpec;
  isGrowing: boolean;
  /** Undefined when all times count from the start of each run. */
  times?: TimeStyle;
  onTimes?(times: TimeStyle): void;
}

/** Controls the window of all plots, and how times are written. */
export function Toolbar({ board, spec, isGrowing, times, onTimes }: ToolbarProps) {
  const zoom = (factor: number) => board.setWindow({ kind: 'fixed', ...zoomed(board.range(), factor) });
  return (
    <div class="toolbar" role="toolbar" aria-label="Window">
      <button type="button" aria-pressed={spec.kind === 'all'} onClick={() => board.setWindow({ kind: 'all' })}>
        All
      </button>
      {lasts.map(({ seconds, name }) => (
        <button
          type="button"
          key={name}
          aria-label={`Last ${name}`}
          aria-pressed={spec.kind === 'last' && spec.seconds === seconds}
          onClick={() => board.setWindow({ kind: 'last', seconds })}
        >
          {name}
        </button>
      ))}
      <span class="joined">
        <button type="button" aria-label="Zoom in" onClick={() => zoom(0.5)}>
          +
        </button>
        <button type="button" aria-label="Zoom out" onClick={() => zoom(2)}>
          −
        </button>
      </span>
      {isGrowing && <Following board={board} spec={spec} />}
      {onTimes !== undefined && (
        <label class="inline">
          Times
          <select value={times} onChange={({ currentTarget }) => onTimes(currentTarget.value as TimeStyle)}>
            <option value="local">local</option>
            <option value="utc">UTC</option>
            <option value="since">since start</option>
          </select>
        </label>
      )}
    </div>
  );
}

function Following({ board, spec }: { board: Board; spec: WindowSpec }) {
  if (follows(spec)) {
    return (
      <span class="following" role="status">
        <span class="pulse" /> following
      </span>
    );
  }
  return (
    <button type="button" class="primary" onClick={() => follow(board)}>
      Follow again
    </button>
  );
}

/** Moves a fixed window to the newest points and follows them from then on. It stays as wide as it was. */
export function follow(board: Board): void {
  const spec = board.spec();
  if (follows(spec)) return;
  const { fromMs, toMs } = board.range();
  const whole = board.span();
  const width = toMs - fromMs;
  if (whole !== undefined && width >= whole.toMs - whole.fromMs) board.setWindow({ kind: 'all' });
  else board.setWindow({ kind: 'last', seconds: Number((width / 1_000).toPrecision(6)) });
}
