import { useEffect, useRef, useState } from 'preact/hooks';
import { useMay } from '../sign-in/scopes.ts';
import { formatTime } from '../time/format.ts';

interface EditableNoteProps {
  value: string;
  changedAt: string | null;
  /** @param note '' removes it */
  onSave(note: string): Promise<void>;
}

/** The most that the server accepts. */
const charactersMax = 10_000;

/** A text of several lines that is edited in place by whoever may write. Ctrl+Enter saves, Escape cancels. */
export function EditableNote({ value, changedAt, onSave }: EditableNoteProps) {
  const [isEditing, setEditing] = useState(false);
  const [message, setMessage] = useState('');
  const field = useRef<HTMLTextAreaElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const mayWrite = useMay('write');
  useEffect(() => {
    if (isEditing) field.current?.focus();
  }, [isEditing]);
  const done = () => {
    setEditing(false);
    setMessage('');
    setTimeout(() => opener.current?.focus());
  };
  const save = async () => {
    const note = field.current?.value.trim() ?? '';
    if (note === value) return done();
    setMessage('saving …');
    try {
      await onSave(note);
      done();
    } catch (error) {
      setMessage((error as Error).message);
    }
  };
  const onKeyDown = ({ key, ctrlKey, metaKey }: KeyboardEvent) => {
    if (key === 'Escape') done();
    else if (key === 'Enter' && (ctrlKey || metaKey)) void save();
  };
  if (!isEditing) {
    return (
      <>
        {value !== '' && (
          <p class="note" dir="auto">
            {value}
          </p>
        )}
        {changedAt !== null && <p class="quiet-text">{wholeSecondsText(changedAt)}</p>}
        {mayWrite ? (
          <button type="button" class="edit" ref={opener} onClick={() => setEditing(true)}>
            {value === '' ? 'Write a note' : 'Change the note'}
            <span class="pencil" aria-hidden="true">
              ✎
            </span>
          </button>
        ) : (
          value === '' && '–'
        )}
      </>
    );
  }
  return (
    <form
      class="edit-form"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <textarea
        ref={field}
        aria-label="Note"
        dir="auto"
        rows={5}
        defaultValue={value}
        maxLength={charactersMax}
        onKeyDown={onKeyDown}
      />
      <button type="submit">Save</button>
      <button type="button" class="quiet" onClick={done}>
        Cancel
      </button>
      {message !== '' && (
        <p class="said" role="status">
          {message}
        </p>
      )}
    </form>
  );
}

const wholeSecondsText = (time: string) => formatTime(Math.floor(Date.parse(time) / 1_000) * 1_000, 'local', 0);
