import { useEffect, useMemo, useState } from 'preact/hooks';
import type { ApiFailure } from '../api/failure.ts';
import type { Ledger } from '../api/ledger.ts';
import { plural } from '../lib/numbers.ts';
import { useLineBack } from '../live/use-live.ts';
import { linkTo } from '../navigation.ts';
import { createBoardLink } from '../plot/board-link.ts';
import { formatDuration, formatTime } from '../time/format.ts';
import { Trouble } from '../trouble.tsx';
import { noFilters, type RunState } from '../url-state.ts';
import { CertificateDialog } from './certificate-dialog.tsx';
import { ChannelList } from './channel-list.tsx';
import { Details } from './details.tsx';
import { LedgerDialog } from './ledger-dialog.tsx';
import type { OpenRun } from './open-run.ts';
import { RunPlots } from './run-plots.tsx';
import { StatusMark } from './status-mark.tsx';
import { TakeAway } from './take-away.tsx';
import { useRun } from './use-run.ts';

export const toRuns = () => linkTo({ view: 'runs', filters: noFilters });

/** A run: its plots, its chunks, and what the catalogue knows of it. */
export function RunView({ state }: { state: RunState }) {
  const { dataId } = state;
  const link = useMemo(createBoardLink, [dataId]);
  const { loading, ledger, onPicture, again, setEntry } = useRun(dataId, link.changed);
  useLineBack(() => link.board()?.again());
  const [failure, setFailure] = useState<ApiFailure>();
  const [dialog, setDialog] = useState<{ kind: 'certificate' } | { kind: 'ledger'; channel: string }>();
  const name = loading.kind === 'open' ? loading.run.entry.raw_name : 'Run';
  useEffect(() => {
    document.title = name;
  }, [name]);

  if (loading.kind === 'unknown') return <UnknownRun />;
  if (loading.kind === 'failed') return <Trouble error={loading.error} onAgain={again} />;
  if (loading.kind === 'loading')
    return (
      <p class="quiet-text wait" role="status">
        Opening the run …
      </p>
    );
  const { run } = loading;
  return (
    <main class="run">
      <RunHead run={run} ledger={ledger} onCertificate={() => setDialog({ kind: 'certificate' })} />
      {failure !== undefined && (
        <p class="banner" role="alert">
          Reading the data: {failure.message} What is drawn may be old.
        </p>
      )}
      {run.status === 'deleted' && (
        <p class="banner" role="alert">
          This run has been deleted.
        </p>
      )}
      <div class="run-columns">
        <div class="run-main">
          {run.channels.length === 0 ? (
            <p class="empty">This run holds no readings yet. They are drawn here as soon as they are stored.</p>
          ) : (
            <RunPlots
              {...{ state, run, ledger, onPicture }}
              onBoard={link.attach}
              onFailure={setFailure}
              onLedger={(channel) => setDialog({ kind: 'ledger', channel })}
            />
          )}
        </div>
        <aside class="run-side" aria-label="About this run">
          <ChannelList state={state} channels={run.channels} />
          <Details run={run} onChanged={setEntry} />
          <TakeAway state={state} run={run} window={() => link.board()?.range()} />
        </aside>
      </div>
      {dialog?.kind === 'certificate' && <CertificateDialog dataId={dataId} onClose={() => setDialog(undefined)} />}
      {dialog?.kind === 'ledger' && (
        <LedgerDialog
          {...{ dataId, channel: dialog.channel, times: state.times }}
          ledger={ledger?.channels.find((one) => one.channel_name === dialog.channel)}
          startMs={link.board()?.startOf(dataId) ?? 0}
          onClose={() => setDialog(undefined)}
        />
      )}
    </main>
  );
}

interface RunHeadProps {
  run: OpenRun;
  ledger: Ledger | undefined;
  onCertificate(): void;
}

function RunHead({ run, ledger, onCertificate }: RunHeadProps) {
  const { entry, channels, outline } = run;
  const points = channels.reduce((sum, { pointCount }) => sum + pointCount, 0);
  // From the ledger, since the highest index and the count are not enough: a client may skip indexes on purpose.
  const missing = ledger?.channels.reduce((sum, { missing_count }) => sum + missing_count, 0);
  const span = outline.span;
  return (
    <header class="run-head">
      <a class="back" {...toRuns()}>
        ← Runs
      </a>
      <h1 dir="auto">{entry.raw_name}</h1>
      <StatusMark status={run.status} />
      <p class="facts">
        <span>{formatTime(wholeSeconds(entry.upload_datetime), 'local', 0)}</span>
        {span !== undefined && <span>{formatDuration(span.toMs - span.fromMs)}</span>}
        <span>{plural(channels.length, 'channel')}</span>
        <span>{plural(points, 'point')}</span>
        {missing !== undefined && (
          <span class={missing > 0 ? 'warning' : ''}>
            {missing > 0 ? `▨ ${plural(missing, 'chunk')} missing` : 'no chunk missing'}
          </span>
        )}
      </p>
      <button type="button" onClick={onCertificate}>
        Certificate
      </button>
    </header>
  );
}

const wholeSeconds = (time: string) => Math.floor(Date.parse(time) / 1_000) * 1_000;

/** Shown alike for a run of another organization, a deleted one and one that never existed. */
function UnknownRun() {
  return (
    <main class="narrow">
      <h1>There is no such run</h1>
      <p>No run that you may see has this address. It may have been deleted.</p>
      <p>
        <a {...toRuns()}>All runs</a>
      </p>
    </main>
  );
}
