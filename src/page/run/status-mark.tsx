const words: Record<string, string> = {
  live: 'live',
  interrupted: 'interrupted',
  finalized: 'finalized',
  deleted: 'deleted',
};

/** The status of a run, as a word and a colour. */
export function StatusMark({ status }: { status: string }) {
  return (
    <span class={`status ${status}`}>
      {status === 'live' && <span class="pulse" />}
      {words[status] ?? status}
    </span>
  );
}
