import { type Shown, shownOf, writeShown } from './plot/shown.ts';

/** Which part of a run the plots show: all of it, its newest seconds (they follow a growing run), or a fixed range in Unix ms. */
export type WindowSpec =
  | { kind: 'all' }
  | { kind: 'last'; seconds: number }
  | { kind: 'fixed'; fromMs: number; toMs: number };

/** How times are written. */
export type TimeStyle = 'local' | 'utc' | 'since';

export interface RunFilters {
  search: string;
  status: '' | 'live' | 'ended';
  sample: string;
  project: string;
  instrument: string;
  tag: string;
  user: string;
}

export interface RunState {
  view: 'run';
  dataId: string;
  window: WindowSpec;
  times: TimeStyle;
  shown: Shown;
}

export interface CompareState {
  view: 'compare';
  dataIds: string[];
  /** Seconds since the start of each run. */
  window: WindowSpec;
}

export interface RunsState {
  view: 'runs';
  filters: RunFilters;
}

/** The audit log. An empty filter lets everything through. */
export interface AuditState {
  view: 'audit';
  action: string;
  stream: string;
  key: string;
}

export interface KeysState {
  view: 'keys';
  /** Whether expired and revoked keys are listed too. */
  ended: boolean;
}

export type PageState = RunsState | RunState | CompareState | AuditState | KeysState;

export const wholeAudit: AuditState = { view: 'audit', action: '', stream: '', key: '' };

export const noFilters: RunFilters = {
  search: '',
  status: '',
  sample: '',
  project: '',
  instrument: '',
  tag: '',
  user: '',
};

/** Most runs that one comparison shows. */
export const comparedRunsMax = 4;

const idPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const actionPattern = /^[a-z_]{1,20}(\.[a-z_]{1,20})?$/;
const allOfIt: WindowSpec = { kind: 'all' };

/** Reads the state from the query of an address. Invalid parts are ignored, since anybody may have written the address. */
export function stateOf(query: string): PageState {
  const params = new URLSearchParams(query);
  const run = params.get('run');
  if (run !== null) {
    const [window, times] = [windowOf(params), timesOf(params.get('times'))];
    return { view: 'run', dataId: run.toLowerCase(), window, times, shown: shownOf(params) };
  }
  const action = params.get('audit');
  if (action !== null) {
    const [stream, key] = [params.get('stream') ?? '', params.get('key') ?? ''];
    return {
      view: 'audit',
      action: actionPattern.test(action) ? action : '',
      stream: idPattern.test(stream) ? stream.toLowerCase() : '',
      key: /^\d{1,15}$/.test(key) ? key : '',
    };
  }
  if (params.has('keys')) return { view: 'keys', ended: params.get('keys') === 'all' };
  const dataIds = [...new Set(params.getAll('compare').filter((id) => idPattern.test(id)))].slice(0, comparedRunsMax);
  if (dataIds.length > 0) return { view: 'compare', dataIds, window: windowOf(params) };
  const filters = { ...noFilters };
  for (const name of Object.keys(noFilters) as (keyof RunFilters)[]) {
    const value = params.get(name) ?? '';
    if (name !== 'status') filters[name] = value;
    else if (value === 'live' || value === 'ended') filters.status = value;
  }
  return { view: 'runs', filters };
}

/** @returns the query of an address, with its `?`; `.` for the plain page, as a relative link needs it */
export function hrefOf(state: PageState): string {
  const params = new URLSearchParams();
  if (state.view === 'runs') {
    for (const [name, value] of Object.entries(state.filters)) if (value !== '') params.set(name, value);
  } else if (state.view === 'keys') {
    params.set('keys', state.ended ? 'all' : '');
  } else if (state.view === 'audit') {
    params.set('audit', state.action);
    if (state.stream !== '') params.set('stream', state.stream);
    if (state.key !== '') params.set('key', state.key);
  } else if (state.view === 'compare') {
    for (const id of state.dataIds) params.append('compare', id);
    writeWindow(params, state.window);
  } else {
    params.set('run', state.dataId);
    writeWindow(params, state.window);
    if (state.times !== 'local') params.set('times', state.times);
    writeShown(params, state.shown);
  }
  const query = params.toString();
  return query === '' ? './' : `./?${query}`;
}

/** The state in which a run opens. */
export const runState = (dataId: string): RunState => ({
  view: 'run',
  dataId,
  window: allOfIt,
  times: 'local',
  shown: { hidden: [], together: [], log: [] },
});

function windowOf(params: URLSearchParams): WindowSpec {
  const last = numberOf(params.get('last'));
  if (last !== undefined && last > 0) return { kind: 'last', seconds: last };
  const [fromMs, toMs] = [numberOf(params.get('from')), numberOf(params.get('to'))];
  if (fromMs !== undefined && toMs !== undefined && toMs > fromMs) return { kind: 'fixed', fromMs, toMs };
  return allOfIt;
}

function writeWindow(params: URLSearchParams, window: WindowSpec): void {
  if (window.kind === 'last') params.set('last', String(window.seconds));
  if (window.kind === 'fixed') {
    params.set('from', String(round(window.fromMs)));
    params.set('to', String(round(window.toMs)));
  }
}

/** Rounds ms to whole microseconds: a window that was chosen by mouse needs no more digits. */
const round = (ms: number) => Math.round(ms * 1_000) / 1_000;

function numberOf(text: string | null): number | undefined {
  if (text === null || text.trim() === '') return undefined;
  const number = Number(text);
  return Number.isFinite(number) ? number : undefined;
}

const timesOf = (text: string | null): TimeStyle => (text === 'utc' || text === 'since' ? text : 'local');
