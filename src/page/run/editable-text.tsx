import { useEffect, useId, useRef, useState } from 'preact/hooks';

interface EditableTextProps {
  label: string;
  value: string;
  /** Names to choose from; any other may be written. */
  known?: () => Promise<string[]>;
  isOpen?: boolean;
  onSave(text: string): Promise<void>;
  onDone?(): void;
}

/** A text that can be changed where it stands. Enter saves, Escape leaves it as it was; what the server refuses is said. */
export function EditableText({ label, value, known, isOpen = false, onSave, onDone }: EditableTextProps) {
  const [isEditing, setEditing] = useState(isOpen);
  const [said, setSaid] = useState('');
  const [names, setNames] = useState<string[]>([]);
  const field = useRef<HTMLInputElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const id = useId();
  useEffect(() => {
    if (!isEditing) return;
    field.current?.focus();
    field.current?.select();
    known?.().then(setNames, () => {});
  }, [isEditing]);
  const done = () => {
    setEditing(false);
    setSaid('');
    onDone?.();
    setTimeout(() => opener.current?.focus());
  };
  const save = async (event: Event) => {
    event.preventDefault();
    const text = field.current?.value.trim() ?? '';
    if (text === '' || text === value) return done();
    setSaid('saving …');
    try {
      await onSave(text);
      done();
    } catch (error) {
      setSaid((error as Error).message);
    }
  };
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
      {said !== '' && (
        <p class="said" role="status">
          {said}
        </p>
      )}
    </form>
  );
}
