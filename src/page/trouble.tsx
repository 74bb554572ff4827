/** Shown in place of a view that could not be read: the error, and a button that tries again. */
export function Trouble({ error, onAgain }: { error: Error; onAgain: () => void }) {
  return (
    <main class="narrow">
      <h1>That did not work</h1>
      <p role="alert">{error.message}</p>
      <button type="button" class="primary" onClick={onAgain}>
        Try again
      </button>
    </main>
  );
}
