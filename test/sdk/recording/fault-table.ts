import type { FaultResult } from '../../testing/support/sdk-fault-results.ts';

/** The part of docs/compatibility.md on faults: what `npm run compatibility` has kept. */
export function faultTable(results: Record<string, FaultResult[]>): string {
  const releases = Object.keys(results);
  const rows = (Object.values(results)[0] ?? []).map(({ fault, call }) => {
    const cells = releases.map((release) => {
      const found = results[release]?.find((one) => one.fault === fault && one.call === call);
      return found === undefined ? '–' : cellOf(found);
    });
    return `| ${fault} | ${calls[call]} | ${cells.join(' | ')} |`;
  });
  return `## Under faults

Three chunks were streamed, and the fault hit the second one, on a server of the mode \`test\` ([testing.md](testing.md)). Each cell says how
often that chunk was sent, the seconds between the attempts, whether all points were stored in the end, and what the caller got; with
\`push\` the caller never gets anything. In the rows with \`finalize\` the second chunk was delayed until the stream was finalized.
\`npm run compatibility\` makes the table again, in about seven minutes: it runs every release under every fault and records the
results. \`npm test\` only checks that the page shows the recorded results.

| fault | call | ${releases.join(' | ')} |
|---|---|${releases.map(() => '---').join('|')}|
${rows.join('\n')}

A chunk is lost either before it reaches the server, or because the server refuses it. So the server avoids refusals where it can. While PostgreSQL
is away, a chunk waits instead of getting a 503 at once; every wait ends before the 30 s after which the SDK stops waiting; a chunk that is sent
again is stored once; a chunk after finalize is accepted for \`FINALIZE_GRACE_SECONDS\`; and a 409 means that other content than the stored one came too late, or that another client
has stored other content while the database was away.`;
}

const calls: Record<FaultResult['call'], string> = { run: '`run`', push: '`push`', finalize: '`push`, `finalize`' };

function cellOf({ sent, pausesS, isComplete, sees }: FaultResult): string {
  const pauses = pausesS.length === 0 ? '' : ` after ${pausesS.join(' s, ')} s`;
  const caller = sees === 'nothing' ? '' : `; \`${sees.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ').slice(0, 60)}\``;
  return `${sent}×${pauses}, ${isComplete ? 'complete' : '**lost**'}${caller}`;
}
