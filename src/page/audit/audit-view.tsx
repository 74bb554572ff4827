import { useEffect, useState } from 'preact/hooks';
import { type AuditEntry, auditActions, auditFile, readAudit } from '../api/audit.ts';
import { linkTo, show } from '../navigation.ts';
import { formatTime } from '../time/format.ts';
import { Trouble } from '../trouble.tsx';
import { type AuditState, runState, wholeAudit } from '../url-state.ts';

/** Who did what in the organization, newest first. */
export function AuditView({ state }: { state: AuditState }) {
  const { entries, cursor, error, isReading, more, again } = useAudit(state);
  if (error !== undefined && entries.length === 0) return <Trouble error={error} onAgain={again} />;
  return (
    <main class="audit">
      <div class="audit-head">
        <h1>Who did what</h1>
        <ActionFilter state={state} />
        {(state.stream !== '' || state.key !== '') && (
          <a class="button" {...linkTo({ ...wholeAudit, action: state.action })}>
            {state.stream === '' ? `Key ${state.key}` : `Stream ${state.stream.slice(0, 8)}`} ✕
            <span class="unseen"> show all</span>
          </a>
        )}
        <a class="button" href={auditFile(state)} download>
          CSV
        </a>
      </div>
      {entries.length === 0 && !isReading ? (
        <p class="empty">Nothing of the kind has been done.</p>
      ) : (
        <AuditTable entries={entries} state={state} />
      )}
      {error !== undefined && <Trouble error={error} onAgain={more} />}
      {typeof cursor === 'string' && error === undefined && (
        <button type="button" disabled={isReading} onClick={more}>
          Show more
        </button>
      )}
    </main>
  );
}

function ActionFilter({ state }: { state: AuditState }) {
  return (
    <select
      aria-label="Action"
      class={state.action === '' ? '' : 'active'}
      value={state.action}
      onChange={({ currentTarget }) => show({ ...state, action: currentTarget.value })}
    >
      <option value="">All actions</option>
      {auditActions.map((action) => (
        <option value={action} key={action}>
          {action}
        </option>
      ))}
    </select>
  );
}

function AuditTable({ entries, state }: { entries: readonly AuditEntry[]; state: AuditState }) {
  return (
    <table class="audit-table">
      <thead>
        <tr>
          {['When', 'Who', 'Action', 'On', 'From', 'Details'].map((name) => (
            <th scope="col" key={name}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <AuditRow entry={entry} state={state} key={entry.entry_id} />
        ))}
      </tbody>
    </table>
  );
}

function AuditRow({ entry, state }: { entry: AuditEntry; state: AuditState }) {
  return (
    <tr>
      <td class="when">{formatTime(Math.floor(Date.parse(entry.happened_at) / 1_000) * 1_000, 'local', 0)}</td>
      <td dir="auto">
        {entry.actor === 'operator' ? `operator ${entry.user_name ?? ''}` : (entry.user_name ?? entry.actor)}
        {entry.key_id !== null && (
          <>
            {' '}
            <KeyLink id={entry.key_id} state={state} />
          </>
        )}
      </td>
      <th scope="row">{entry.action}</th>
      <td>
        {entry.data_id !== null && <StreamLink entry={entry} dataId={entry.data_id} />}
        {entry.of_key_id !== null && <KeyLink id={entry.of_key_id} state={state} />}
      </td>
      <td title={entry.request_id === null ? undefined : `request ${entry.request_id}`}>{entry.address}</td>
      <td class="audit-details" dir="auto">
        {sayDetails(entry.details)}
      </td>
    </tr>
  );
}

function KeyLink({ id, state }: { id: number; state: AuditState }) {
  return <a {...linkTo({ ...state, key: String(id), stream: '' })}>key {id}</a>;
}

/** A link to the run, with the name that it had then. A removed run has no view any more, so the link lists its entries. */
function StreamLink({ entry, dataId }: { entry: AuditEntry; dataId: string }) {
  const { stream_name: name } = entry.details;
  const isGone = entry.action === 'stream.removed';
  return (
    <a {...linkTo(isGone ? { ...wholeAudit, stream: dataId } : runState(dataId))} dir="auto" title={dataId}>
      {typeof name === 'string' && name !== '' ? name : dataId.slice(0, 8)}
    </a>
  );
}

/** The details as text: `scopes: read, write · …`. The name of a stream has its own column. */
function sayDetails(details: AuditEntry['details']): string {
  return Object.entries(details)
    .filter(([name]) => name !== 'stream_name')
    .map(([name, value]) => `${name.replaceAll('_', ' ')}: ${Array.isArray(value) ? value.join(', ') : String(value)}`)
    .join(' · ');
}

interface Read {
  entries: AuditEntry[];
  /** Where the next page begins: undefined before the first page, null after the last. */
  cursor?: string | null;
  error?: Error | undefined;
}

function useAudit(state: AuditState) {
  const [read, setRead] = useState<Read>({ entries: [] });
  const [isReading, setReading] = useState(true);
  const [turn, setTurn] = useState(0);
  const key = JSON.stringify(state);

  const go = async (before: Read, signal?: AbortSignal) => {
    setReading(true);
    try {
      const page = await readAudit(state, before.cursor ?? undefined, signal);
      if (!signal?.aborted) setRead({ entries: [...before.entries, ...page.entries], cursor: page.next_cursor });
    } catch (error) {
      if (!signal?.aborted) setRead({ ...before, error: error as Error });
    } finally {
      if (!signal?.aborted) setReading(false);
    }
  };
  useEffect(() => {
    const abort = new AbortController();
    setRead({ entries: [] });
    void go({ entries: [] }, abort.signal);
    return () => abort.abort();
  }, [key, turn]);

  return {
    ...read,
    isReading,
    more: () => void go({ ...read, error: undefined }),
    again: () => setTurn((count) => count + 1),
  };
}
