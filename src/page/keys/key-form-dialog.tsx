import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { MadeKey } from '../api/keys.ts';
import { Dialog } from '../lib/dialog.tsx';
import { MadeKeyText } from './made-key.tsx';

interface KeyFormDialogProps {
  title: string;
  /** The title once the key is made. */
  madeTitle: string;
  submitLabel: string;
  /** Makes the key. The message of an error that it throws is shown in the form. */
  onMake(form: FormData): Promise<MadeKey>;
  onClose(): void;
  /** The fields. */
  children: ComponentChildren;
}

/** A dialog with a form that makes a key. Once the key is made, it is shown in place of the form. */
export function KeyFormDialog({ title, madeTitle, submitLabel, onMake, onClose, children }: KeyFormDialogProps) {
  const [made, setMade] = useState<MadeKey>();
  const [message, setMessage] = useState('');
  const [isBusy, setBusy] = useState(false);
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    try {
      setMade(await onMake(form));
    } catch (error) {
      setMessage((error as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={made === undefined ? title : madeTitle} onClose={onClose}>
      {made !== undefined ? (
        <MadeKeyText made={made} onClose={onClose} />
      ) : (
        <form class="key-form" onSubmit={send}>
          {children}
          <p role="alert">{message}</p>
          <p class="buttons">
            <button type="submit" class="primary" disabled={isBusy}>
              {submitLabel}
            </button>
          </p>
        </form>
      )}
    </Dialog>
  );
}
