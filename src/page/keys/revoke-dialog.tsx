import { useState } from 'preact/hooks';
import { type Key, revokeKey, revokeKeysOf } from '../api/keys.ts';
import type { SignedIn } from '../api/session.ts';
import { Dialog } from '../lib/dialog.tsx';
import { plural } from '../lib/numbers.ts';

interface RevokeProps {
  revoked: readonly Key[];
  /** All keys of their user, those too that are made until it is confirmed. */
  isOfUser: boolean;
  ownKeyId: SignedIn['key_id'];
  onClose(): void;
}

/** Asks before keys are revoked, and says what goes with them. */
export function RevokeDialog({ revoked, isOfUser, ownKeyId, onClose }: RevokeProps) {
  const [said, setSaid] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [first] = revoked;
  if (first === undefined) return null;
  const revoke = async () => {
    setBusy(true);
    try {
      await (isOfUser ? revokeKeysOf(first.user_id) : revokeKey(first.key_id));
      onClose();
    } catch (error) {
      setSaid((error as Error).message);
      setBusy(false);
    }
  };
  const title = isOfUser ? `Revoke ${plural(revoked.length, 'key')}?` : `Revoke key ${first.key_id}?`;
  return (
    <Dialog title={title} onClose={onClose}>
      <p>
        {isOfUser ? 'Every key' : <code>{first.key_hint}…</code>} of <bdi>{first.user_name}</bdi> stops to open within
        seconds, and who has signed in with it is signed out. That cannot be taken back. The data stays.
      </p>
      {revoked.some(({ key_id }) => String(key_id) === String(ownKeyId)) && (
        <p class="verdict bad">You have signed in with it: this signs you out.</p>
      )}
      <p role="alert">{said}</p>
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
