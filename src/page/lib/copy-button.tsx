import { useState } from 'preact/hooks';
import { copyText } from './copy.ts';

/** Copies a text, and says whether that worked. */
export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [message, setMessage] = useState('');
  const copy = async () => {
    setMessage((await copyText(text)) ? 'Copied' : 'Select and copy it yourself');
    setTimeout(() => setMessage(''), 2_000);
  };
  return (
    <button type="button" onClick={copy}>
      <span aria-live="polite">{message || label}</span>
    </button>
  );
}
