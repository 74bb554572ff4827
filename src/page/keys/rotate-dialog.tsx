import { type Key, rotateKey } from '../api/keys.ts';
import { KeyFormDialog } from './key-form-dialog.tsx';

const overlaps = [
  ['for a day', 86_400],
  ['for an hour', 3_600],
  ['for a week', 604_800],
  ['not at all', 0],
] as const;

/** Makes the successor of a key and shows it once. */
export function RotateDialog({ rotated, onClose }: { rotated: Key; onClose: () => void }) {
  return (
    <KeyFormDialog
      title={`Rotate key ${rotated.key_id}`}
      madeTitle="The successor"
      submitLabel="Make the successor"
      onMake={(form) => rotateKey(rotated.key_id, Number(form.get('overlap')))}
      onClose={onClose}
    >
      <p>
        <bdi>{rotated.user_name}</bdi> gets a new key that may do the same ({rotated.scopes.join(', ')}).
      </p>
      <label>
        The old key stays valid
        <select name="overlap">
          {overlaps.map(([name, seconds]) => (
            <option value={seconds} key={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
    </KeyFormDialog>
  );
}
