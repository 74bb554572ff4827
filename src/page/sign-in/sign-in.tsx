import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiFailure } from '../api/failure.ts';
import { type SignedIn, signIn } from '../api/session.ts';

/** Asks for a key. The key is sent to the server once, in a body, and is not stored in the browser. */
export function SignIn({ reason, onSignedIn }: { reason: string; onSignedIn: (session: SignedIn) => void }) {
  const [message, setMessage] = useState(reason);
  const [isBusy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = 'Sign in';
    field.current?.focus();
  }, []);
  const send = async (event: Event) => {
    event.preventDefault();
    const key = field.current?.value.trim() ?? '';
    if (key === '') return setMessage('Enter a key.');
    setBusy(true);
    try {
      const session = await signIn({ api_key: key });
      if (field.current !== null) field.current.value = '';
      onSignedIn(session);
    } catch (error) {
      setMessage(
        error instanceof ApiFailure && error.status === 401 ? 'This key is not known here.' : (error as Error).message,
      );
      setBusy(false);
      field.current?.select();
    }
  };
  return (
    <main class="narrow sign-in">
      <h1>metrology-server</h1>
      <p>Look at a growth run while it grows.</p>
      <form onSubmit={send} class="card">
        <label>
          API key
          <input
            ref={field}
            type="password"
            name="api_key"
            autocomplete="current-password"
            spellcheck={false}
            aria-describedby="said"
            placeholder="msk1_…"
          />
        </label>
        <button type="submit" class="primary" disabled={isBusy}>
          Sign in
        </button>
        <p id="said" role="status">
          {message}
        </p>
      </form>
      <p class="quiet-text">
        The first start of the server prints a key. This command makes another one:{' '}
        <code>metrology-server keys create --organization default</code>
      </p>
      <p>
        <a href="docs">The API</a>
      </p>
    </main>
  );
}
