import { allScopes, makeKey } from '../api/keys.ts';
import { KeyFormDialog } from './key-form-dialog.tsx';

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

async function make(form: FormData) {
  const scopes = form.getAll('scope').map(String);
  if (scopes.length === 0) throw new Error('Choose what the key may do.');
  const seconds = Number(form.get('life'));
  const user_name = String(form.get('user')).trim();
  return makeKey({ user_name, scopes, ...(seconds > 0 && { expires_in_seconds: seconds }) });
}

/** Makes a key for a user and shows it once. @param scopes of the signed-in user, who cannot give others */
export function NewKeyDialog({ scopes, onClose }: { scopes: readonly string[]; onClose: () => void }) {
  return (
    <KeyFormDialog title="New key" madeTitle="The new key" submitLabel="Make the key" onMake={make} onClose={onClose}>
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
    </KeyFormDialog>
  );
}
