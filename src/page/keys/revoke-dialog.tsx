import { useState } from 'preact/hooks';
import { type Key, revokeKey, revokeKeysOf } from '../api/keys.ts';
import type { SignedIn } from '../api/session.ts';
import { Dialog } from '../lib/dialog.tsx';
import { plural } from '../lib/numbers.ts';

interface RevokeProps {
  revoked: readonly Key[];
  /** Whether to revoke every key of the user, including keys that are made while the dialog is open. */
  isOfUser: boolean;
  ownKeyId: SignedIn['key_id'];
  onClose(): void;
}

/** Asks for confirmation before keys are revoked, and says what follows from it. */
export function RevokeDialog({ revoked, isOfUser, ownKeyId, onClose }: RevokeProps) {
  const [message, setMessage] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [first] = revoked;
  if (first === undefined) return null;
  const revoke = async () => {
    setBusy(true);
    try {
      await (isOfUser ? revokeKeysOf(first.user_id) : revokeKey(first.key_id));
      onClose();
    } catch (error) {
      setMessage((error as Error).message);
      setBusy(false);
    }
  };
  const title = isOfUser ? `Revoke ${plural(revoked.length, 'key')}?` : `Revoke key ${first.key_id}?`;
  return (
    <Dialog title={title} onClose={onClose}>
      <p>
        {isOfUser ? 'Every key' : <code>{first.key_hint}…</code>} of <bdi>{first.user_name}</bdi> stops working within
        seconds, and everybody who signed in with it is signed out. This cannot be undone. The data stays.
      </p>
      {revoked.some(({ key_id }) => String(key_id) === String(ownKeyId)) && (
        <p class="verdict bad">You have signed in with it: this signs you out.</p>
      )}
      <p role="alert">{message}</p>
      <p class="buttons">
        <button type="button" onClick={onClose}>
          Keep
        </button>
        <button type="button" class="danger" disabled={isBusy} onClick={revoke}>
          Revoke
        </button>
      </p>
    </Dialog>
  );
}
