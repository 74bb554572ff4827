import { useState } from 'preact/hooks';
import { allScopes, type MadeKey, makeKey } from '../api/keys.ts';
import { Dialog } from '../lib/dialog.tsx';
import { MadeKeyText } from './made-key.tsx';

const daySeconds = 86_400;
const lives = [
  ['never', ''],
  ['in 30 days', 30 * daySeconds],
  ['in 90 days', 90 * daySeconds],
  ['in a year', 365 * daySeconds],
] as const;

const meanings: Record<string, string> = {
  read: 'look at everything',
  write: 'send and change',
  delete: 'delete and restore',
  admin: 'keys and audit log',
};

/** Asks for whom a key is and what it may do, makes it, and shows it once. @param scopes those of who asks: nobody gives more */
export function NewKeyDialog({ scopes, onClose }: { scopes: readonly string[]; onClose: () => void }) {
  const [made, setMade] = useState<MadeKey>();
  const [said, setSaid] = useState('');
  const [isBusy, setBusy] = useState(false);
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const chosen = form.getAll('scope').map(String);
    if (chosen.length === 0) return setSaid('Choose what the key may do.');
    const seconds = Number(form.get('life'));
    setBusy(true);
    try {
      const user_name = String(form.get('user')).trim();
      setMade(await makeKey({ user_name, scopes: chosen, ...(seconds > 0 && { expires_in_seconds: seconds }) }));
    } catch (error) {
      setSaid((error as Error).message);
    } finally {
      setBusy(false);
    }
  };
  if (made !== undefined) {
    return (
      <Dialog title="The new key" onClose={onClose}>
        <MadeKeyText made={made} onClose={onClose} />
      </Dialog>
    );
  }
  return (
    <Dialog title="New key" onClose={onClose}>
      <form class="key-form" onSubmit={send}>
        <label>
          User
          <input name="user" required maxLength={255} autocomplete="off" placeholder="a person or a machine" />
        </label>
        <fieldset>
          <legend>It may</legend>
          {allScopes
            .filter((scope) => scopes.includes(scope))
            .map((scope) => (
              <label key={scope}>
                <input type="checkbox" name="scope" value={scope} defaultChecked={scope === 'read'} /> {scope}{' '}
                <span class="quiet-text">{meanings[scope]}</span>
              </label>
            ))}
        </fieldset>
        <label>
          It ends
          <select name="life">
            {lives.map(([name, seconds]) => (
              <option value={seconds} key={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <p role="alert">{said}</p>
        <p class="buttons">
          <button type="submit" class="primary" disabled={isBusy}>
            Make the key
          </button>
        </p>
      </form>
    </Dialog>
  );
}
