import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { useMay } from '../sign-in/scopes.ts';

interface EditableTextProps {
  label: string;
  value: string;
  /** Reads names to suggest; any other may be typed. */
  known?: () => Promise<string[]>;
  isOpen?: boolean;
  onSave(text: string): Promise<void>;
  onDone?(): void;
}

/** A text that is edited in place by whoever may write. Enter saves, Escape cancels. An error of the server is shown and the text stays. */
export function EditableText({ label, value, known, isOpen = false, onSave, onDone }: EditableTextProps) {
  const [isEditing, setEditing] = useState(isOpen);
  const [message, setMessage] = useState('');
  const [names, setNames] = useState<string[]>([]);
  const field = useRef<HTMLInputElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const id = useId();
  const mayWrite = useMay('write');
  useEffect(() => {
    if (!isEditing) return;
    field.current?.focus();
    field.current?.select();
    known?.().then(setNames, () => {});
  }, [isEditing]);
  const done = () => {
    setEditing(false);
    setMessage('');
    onDone?.();
    setTimeout(() => opener.current?.focus());
  };
  const save = async (event: Event) => {
    event.preventDefault();
    const text = field.current?.value.trim() ?? '';
    if (text === '' || text === value) return done();
    setMessage('saving …');
    try {
      await onSave(text);
      done();
    } catch (error) {
      setMessage((error as Error).message);
    }
  };
  if (!mayWrite) return <span dir="auto">{value || '–'}</span>;
  if (!isEditing) {
    return (
      <button
        type="button"
        class="edit"
        ref={opener}
        onClick={() => setEditing(true)}
        aria-label={`${label}: ${value || 'none'}. Change`}
      >
        <span dir="auto">{value || '–'}</span>
        <span class="pencil" aria-hidden="true">
          ✎
        </span>
      </button>
    );
  }
  return (
    <form class="edit-form" onSubmit={save}>
      <input
        ref={field}
        aria-label={label}
        dir="auto"
        defaultValue={value}
        list={`${id}-names`}
        maxLength={1_000}
        onKeyDown={({ key }) => key === 'Escape' && done()}
      />
      <datalist id={`${id}-names`}>
        {names.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <button type="submit">Save</button>
      {message !== '' && (
        <p class="said" role="status">
          {message}
        </p>
      )}
    </form>
  );
}
