import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

/** A modal dialog. It takes the focus and gives it back, and Escape closes it. */
export function Dialog(props: { title: string; onClose: () => void; isWide?: boolean; children: ComponentChildren }) {
  const { title, onClose, isWide, children } = props;
  const place = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = place.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={place} class={isWide ? 'wide' : ''} aria-labelledby={id} onClose={onClose} onCancel={onClose}>
      <header class="dialog-head">
        <h2 id={id}>{title}</h2>
        <button type="button" class="quiet" aria-label="Close" onClick={onClose}>
          ✕
        </button>
      </header>
      {children}
    </dialog>
  );
}
