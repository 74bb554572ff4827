import { useEffect, useState } from 'preact/hooks';
import { type Key, listKeys } from '../api/keys.ts';
import type { SignedIn } from '../api/session.ts';
import { useLoaded, useNow } from '../lib/hooks.ts';
import { plural } from '../lib/numbers.ts';
import { linkTo, show } from '../navigation.ts';
import { formatAge, formatTime } from '../time/format.ts';
import { Trouble } from '../trouble.tsx';
import { type KeysState, wholeAudit } from '../url-state.ts';
import { NewKeyDialog } from './new-key-dialog.tsx';
import { RevokeDialog } from './revoke-dialog.tsx';
import { RotateDialog } from './rotate-dialog.tsx';

type Asked = { kind: 'new' } | { kind: 'rotate' | 'revoke' | 'revoke-all'; key: Key };

/** The keys of the organization, with their users, scopes, last use and end. */
export function KeysView({ state, session }: { state: KeysState; session: SignedIn }) {
  const { value, error, again } = useLoaded(
    (signal) => listKeys(state.ended ? undefined : 'open', signal),
    [state.ended],
  );
  const [asked, setAsked] = useState<Asked>();
  useEffect(() => {
    document.title = 'Keys';
  }, []);
  const close = () => {
    setAsked(undefined);
    again();
  };
  if (error !== undefined && value === undefined) return <Trouble error={error} onAgain={again} />;
  return (
    <main class="audit">
      <div class="audit-head">
        <h1>Keys</h1>
        <label>
          <input
            type="checkbox"
            checked={state.ended}
            onChange={({ currentTarget }) => show({ view: 'keys', ended: currentTarget.checked }, { replace: true })}
          />{' '}
          show ended keys too
        </label>
        <button type="button" class="primary" onClick={() => setAsked({ kind: 'new' })}>
          New key
        </button>
      </div>
      {value === undefined ? (
        <p role="status">…</p>
      ) : (
        <KeyTable keys={value} ownKeyId={session.key_id} onAsk={setAsked} />
      )}
      {error !== undefined && <p role="alert">{error.message}</p>}
      {asked?.kind === 'new' && <NewKeyDialog scopes={session.scopes} onClose={close} />}
      {asked?.kind === 'rotate' && <RotateDialog rotated={asked.key} onClose={close} />}
      {(asked?.kind === 'revoke' || asked?.kind === 'revoke-all') && (
        <RevokeDialog
          revoked={asked.kind === 'revoke' ? [asked.key] : keysOf(value ?? [], asked.key)}
          isOfUser={asked.kind === 'revoke-all'}
          ownKeyId={session.key_id}
          onClose={close}
        />
      )}
    </main>
  );
}

/** The valid keys of the user of a key. */
const keysOf = (keys: readonly Key[], { user_id }: Key) =>
  keys.filter((key) => key.user_id === user_id && key.state === 'open');

interface TableProps {
  keys: readonly Key[];
  /** The key that the session of this page stands for. */
  ownKeyId: SignedIn['key_id'];
  onAsk(asked: Asked): void;
}

/** Rows that are shown at first, and added by each click on "Show more". */
const rowsAtOnce = 100;

function KeyTable({ keys, ownKeyId, onAsk }: TableProps) {
  const now = useNow(30_000);
  const [count, setCount] = useState(rowsAtOnce);
  const openOf = new Map<string, number>();
  for (const { user_id, state } of keys) if (state === 'open') openOf.set(user_id, (openOf.get(user_id) ?? 0) + 1);
  return (
    <>
      <p class="quiet-text">{plural(keys.length, 'key')}, the newest first</p>
      <table class="audit-table key-table">
        <thead>
          <tr>
            {['Key', 'User', 'May', 'Last used', 'Ends', 'Actions'].map((name) => (
              <th scope="col" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {[...keys]
            .reverse()
            .slice(0, count)
            .map((key) => (
              <KeyRow
                key={key.key_id}
                {...{ shown: key, now, onAsk }}
                isOwn={String(key.key_id) === String(ownKeyId)}
                hasMore={(openOf.get(key.user_id) ?? 0) > 1}
              />
            ))}
        </tbody>
      </table>
      {keys.length > count && (
        <button type="button" onClick={() => setCount(count + rowsAtOnce)}>
          Show more
        </button>
      )}
    </>
  );
}

interface RowProps {
  shown: Key;
  now: number;
  isOwn: boolean;
  /** Whether its user has other valid keys. */
  hasMore: boolean;
  onAsk(asked: Asked): void;
}

function KeyRow({ shown, now, isOwn, hasMore, onAsk }: RowProps) {
  const name = `key ${shown.key_id} of ${shown.user_name}`;
  const button = (kind: 'rotate' | 'revoke' | 'revoke-all', label: string) => (
    <button
      type="button"
      class={kind === 'rotate' ? '' : 'danger'}
      aria-label={kind === 'revoke-all' ? `Revoke all keys of ${shown.user_name}` : `${label} ${name}`}
      onClick={() => onAsk({ kind, key: shown })}
    >
      {label}
    </button>
  );
  return (
    <tr>
      <th scope="row">
        <code>{shown.key_hint}…</code>
        <span class="quiet-text">
          {' '}
          <a {...linkTo({ ...wholeAudit, key: String(shown.key_id) })}>key {shown.key_id}</a>
          {shown.replaces_key_id !== null && `, after ${shown.replaces_key_id}`}
          {isOwn && ', yours'}
        </span>
      </th>
      <td dir="auto">{shown.user_name}</td>
      <td>{shown.scopes.join(', ')}</td>
      <td data-label="used" title={shown.last_used_at ?? undefined}>
        {shown.last_used_at === null ? 'never' : formatAge(Math.max(0, now - Date.parse(shown.last_used_at)))}
      </td>
      <td data-label="ends">{endOf(shown)}</td>
      <td class="key-actions">
        {shown.state === 'open' && shown.replaced_by_key_id === null && button('rotate', 'Rotate')}
        {shown.state === 'open' && button('revoke', 'Revoke')}
        {shown.state === 'open' && hasMore && button('revoke-all', 'Revoke all')}
      </td>
    </tr>
  );
}

function endOf({ state, expires_at, revoked_at, replaced_by_key_id }: Key): string {
  const at = (time: string) => formatTime(Math.floor(Date.parse(time) / 1_000) * 1_000, 'local', 0);
  if (revoked_at !== null) return `revoked ${at(revoked_at)}`;
  const next = replaced_by_key_id === null ? '' : `, then key ${replaced_by_key_id}`;
  if (expires_at === null) return `never${next}`;
  return `${state === 'expired' ? 'ended ' : ''}${at(expires_at)}${next}`;
}
