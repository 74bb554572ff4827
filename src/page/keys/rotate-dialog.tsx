import { useState } from 'preact/hooks';
import { type Key, type MadeKey, rotateKey } from '../api/keys.ts';
import { Dialog } from '../lib/dialog.tsx';
import { MadeKeyText } from './made-key.tsx';

const overlaps = [
  ['a day', 86_400],
  ['an hour', 3_600],
  ['a week', 604_800],
  ['not at all', 0],
] as const;

/** Makes the successor of a key, and shows it once. */
export function RotateDialog({ rotated, onClose }: { rotated: Key; onClose: () => void }) {
  const [made, setMade] = useState<MadeKey>();
  const [said, setSaid] = useState('');
  const [isBusy, setBusy] = useState(false);
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    try {
      setMade(await rotateKey(rotated.key_id, Number(form.get('overlap'))));
    } catch (error) {
      setSaid((error as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={made === undefined ? `Rotate key ${rotated.key_id}` : 'The successor'} onClose={onClose}>
      {made !== undefined ? (
        <MadeKeyText made={made} onClose={onClose} />
      ) : (
        <form class="key-form" onSubmit={send}>
          <p>
            <bdi>{rotated.user_name}</bdi> gets a new key that may do the same ({rotated.scopes.join(', ')}).
          </p>
          <label>
            The old key still opens
            <select name="overlap">
              {overlaps.map(([name, seconds]) => (
                <option value={seconds} key={name}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <p role="alert">{said}</p>
          <p class="buttons">
            <button type="submit" class="primary" disabled={isBusy}>
              Make the successor
            </button>
          </p>
        </form>
      )}
    </Dialog>
  );
}
