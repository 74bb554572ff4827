/** Something could not be read: what the server said, and another try. */
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
