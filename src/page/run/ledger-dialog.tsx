import { useState } from 'preact/hooks';
import { type LedgerChannel, listRevisions, type Revision, readChunk, readRevision } from '../api/ledger.ts';
import { Dialog } from '../lib/dialog.tsx';
import { useLoaded } from '../lib/hooks.ts';
import { plural } from '../lib/numbers.ts';
import { formatTime } from '../time/format.ts';
import type { TimeStyle } from '../url-state.ts';
import { BeforeAfter } from './before-after.tsx';
import { ledgerText, rangesText } from './ledger-strip.tsx';
import { timesText } from './times-text.ts';

/** Most irregular chunks and revisions that are listed. The API has all of them. */
const listedMax = 50;

interface LedgerDialogProps {
  dataId: string;
  channel: string;
  ledger: LedgerChannel | undefined;
  times: TimeStyle;
  startMs: number;
  onClose(): void;
}

/** The chunks of a channel: which are missing, irregular or late, and the earlier contents of replaced ones. */
export function LedgerDialog({ dataId, channel, ledger, times, startMs, onClose }: LedgerDialogProps) {
  const revisions = useLoaded(() => listRevisions(dataId, channel), [dataId, channel, ledger?.replaced_count]);
  const [chosen, setChosen] = useState<Revision>();
  return (
    <Dialog title={`Chunks of ${channel}`} onClose={onClose} isWide>
      {ledger === undefined ? <p>No chunk is stored.</p> : <p>{ledgerText(ledger)}.</p>}
      {ledger !== undefined && timesText(ledger) !== undefined && <p role="note">{timesText(ledger)}</p>}
      {ledger !== undefined && ledger.missing_count > 0 && (
        <p>
          <strong>Missing:</strong> {rangesText(ledger.missing, listedMax)}
        </p>
      )}
      {ledger !== undefined && (ledger.late?.length ?? 0) > 0 && (
        <p>
          <strong>Stored after the end:</strong>{' '}
          {rangesText(
            (ledger.late ?? []).map((one) => [one.from_chunk, one.to_chunk]),
            listedMax,
          )}
        </p>
      )}
      {ledger !== undefined && ledger.irregular.length > 0 && (
        <>
          <h3>Irregular</h3>
          <ul class="plain">
            {ledger.irregular.slice(0, listedMax).map((run) => (
              <li key={run.chunk_index}>
                {run.chunk_count === 1 ? 'chunk' : 'chunks'} {rangesText([[run.chunk_index, run.last_chunk_index]])}:{' '}
                {plural(run.point_count, 'point')}, {run.irregularities.join(', ').replaceAll('_', ' ')}
              </li>
            ))}
            {ledger.irregular.length > listedMax && <li>and {ledger.irregular.length - listedMax} more</li>}
          </ul>
        </>
      )}
      <h3>Earlier contents</h3>
      {revisions.error !== undefined && <p role="alert">{revisions.error.message}</p>}
      {revisions.value?.length === 0 && <p>No chunk of this channel was ever replaced.</p>}
      <ul class="plain">
        {revisions.value?.slice(0, listedMax).map((one) => (
          <li key={`${one.chunk_index} ${one.revision}`}>
            <button type="button" aria-pressed={one === chosen} onClick={() => setChosen(one)}>
              chunk {one.chunk_index}, revision {one.revision}
            </button>{' '}
            replaced {formatTime(Date.parse(one.replaced_at), times === 'utc' ? 'utc' : 'local', 0)} by{' '}
            {one.replaced_by.user_name ?? one.replaced_by.key_hint ?? 'an unknown key'}
          </li>
        ))}
      </ul>
      {chosen !== undefined && (
        <Comparison {...{ dataId, chosen, times, startMs }} next={nextOf(revisions.value ?? [], chosen)} />
      )}
    </Dialog>
  );
}

/** The next revision of the same chunk; undefined when the content after it is the stored one. */
const nextOf = (revisions: readonly Revision[], { chunk_index, revision }: Revision) =>
  revisions.find((one) => one.chunk_index === chunk_index && one.revision === revision + 1);

function Comparison(props: {
  dataId: string;
  chosen: Revision;
  next: Revision | undefined;
  times: TimeStyle;
  startMs: number;
}) {
  const { dataId, chosen, next, times, startMs } = props;
  const { value, error } = useLoaded(
    () =>
      Promise.all([
        readRevision(dataId, chosen),
        next === undefined ? readChunk(dataId, chosen.channel_name, chosen.chunk_index) : readRevision(dataId, next),
      ]),
    [dataId, chosen],
  );
  if (error !== undefined) return <p role="alert">{error.message}</p>;
  if (value === undefined) return <p role="status">Reading both …</p>;
  return (
    <BeforeAfter
      before={value[0]}
      after={value[1]}
      afterName={next === undefined ? 'now' : `revision ${next.revision}`}
      {...{ times, startMs }}
    />
  );
}
