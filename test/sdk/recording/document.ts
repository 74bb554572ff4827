import { resolve } from 'node:path';
import type { FaultResult } from '../../testing/support/sdk-fault-results.ts';
import type { CaseCounts } from './case-counts.ts';
import { deviations } from './deviations.ts';
import { faultTable } from './fault-table.ts';
import type { Exchange, Step, Transcript } from './transcript.ts';

export const documentFile = resolve(import.meta.dirname, '../../../docs/compatibility.md');

/** The text of docs/compatibility.md: what the kept transcripts and counts show, and nothing else. */
export function compatibilityDocument(
  transcripts: readonly Transcript[],
  counts: CaseCounts,
  faults: Record<string, FaultResult[]>,
): string {
  return [head(transcripts), callTable(transcripts), caseTable(counts), faultTable(faults), sentLists(transcripts)]
    .concat([deviationList(transcripts), notes])
    .join('\n\n')
    .concat('\n');
}

function head(transcripts: readonly Transcript[]): string {
  return `# Compatibility with the official SDK

This page is generated from a run of the real SDK releases against this server: do not edit it. \`npm run compatibility\`
runs everything again (Python 3.11 or 3.12 and PyPI needed), rewrites the transcripts in \`test/transcripts\` and this page; a test of the
main suite fails when the page and the transcripts differ, and replays every transcript against the server without Python.

Releases are grouped into generations by what they send; one of each generation is run, and on every run the newest that PyPI offers.

| release | generation |
|---|---|
${transcripts.map((one) => `| ${nameOf(one)} | ${one.generation} |`).join('\n')}`;
}

function callTable(transcripts: readonly Transcript[]): string {
  const steps = new Map<string, string>();
  for (const { step, call } of transcripts.flatMap((one) => one.steps)) if (call !== '') steps.set(step, call);
  const order = [...steps.keys()].sort((one, other) => placeOf(one, transcripts) - placeOf(other, transcripts));
  const rows = order.map((name) => {
    const cells = transcripts.map((one) => cellOf(one.steps.find(({ step }) => step === name)));
    return `| \`${steps.get(name)}\`: ${name} | ${cells.join(' | ')} |`;
  });
  return `## Release and call

\`yes\`: the call did what it says, and its result was checked. \`–\`: the release has no such call.
¹ A chunk without points was sent and refused with 422; the SDK does not tell its user.

| call | ${transcripts.map(nameOf).join(' | ')} |
|---|${transcripts.map(() => '---').join('|')}|
${rows.join('\n')}`;
}

function placeOf(name: string, transcripts: readonly Transcript[]): number {
  const longest = transcripts.at(-1)?.steps ?? [];
  return longest.findIndex(({ step }) => step === name);
}

function cellOf(step: Step | undefined): string {
  if (step === undefined) return '–';
  if (step.outcome === 'fails') return `no: ${step.detail}`;
  return step.exchanges.some(({ path, status }) => path.includes('/chunk') && status === 422) ? 'yes ¹' : 'yes';
}

function caseTable(counts: CaseCounts): string {
  const releases = Object.keys(counts);
  const titles = Object.keys(Object.values(counts)[0] ?? {});
  const rows = titles.map(
    (title) => `| ${title} | ${releases.map((one) => counts[one]?.[title] || '–').join(' | ')} |`,
  );
  const sums = releases.map((one) => Object.values(counts[one] ?? {}).reduce((sum, count) => sum + count, 0));
  return `## Cases of \`npm run test:sdk\`

Each number is the count of cases that the release can run, found in the installed package; all of them pass. A case
that needs a call which the release does not have is not counted. For releases that only read, the data are sent by plain requests.

| cases | ${releases.join(' | ')} |
|---|${releases.map(() => '---').join('|')}|
${rows.join('\n')}
| **all** | ${sums.join(' | ')} |`;
}

function sentLists(transcripts: readonly Transcript[]): string {
  const sections = transcripts.map((one) => {
    const lines = one.steps
      .filter(({ call }) => call !== '')
      .map(({ step, exchanges }) => `${step}: ${counted(exchanges.map(lineOf)).join(', ')}`);
    return `### ${nameOf(one)}\n\n\`\`\`text\n${lines.join('\n')}\n\`\`\``;
  });
  return `## What each release sends

Request lines as they arrive for an endpoint given with a slash at its end, and the statuses of the answers. Bodies and headers
are in \`test/transcripts\`. Calls that a release sends in parallel arrive in any order.

${sections.join('\n\n')}`;
}

function lineOf({ method, path, status }: Exchange): string {
  return `${method} ${path} ${status}`;
}

function counted(lines: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return [...counts].map(([line, count]) => (count === 1 ? line : `${line} (${count} times)`));
}

function deviationList(transcripts: readonly Transcript[]): string {
  const points = deviations.map(({ says, isSeenIn }) => {
    const seen = transcripts.filter(isSeenIn).map(nameOf);
    return `- ${says} Seen in: ${seen.length === transcripts.length ? 'every release' : seen.join(', ') || 'none'}.`;
  });
  return `## What an operator should know

What the releases send that matters to operators of the server or of a proxy in front of it, above all where the public
documentation does not mention it or says otherwise.

${points.join('\n')}`;
}

function nameOf(one: { package: string; version: string }): string {
  return `${one.package} ${one.version}`;
}

const notes = `## Mixed use

\`npm run test:sdk\` runs this, every step in a process of its own: a stream opened by 0.11.0 and fed by 0.11.0, 0.20.1, 0.21.6 and the
newest, and one opened by the newest and fed by 0.12.0, the newest and 0.15.0. Another release sends the first chunk again under its
own path, a third finalizes the stream, and all releases above read the same points.

## FilmSense adapter

The packages on PyPI that were examined, the newest among them, do not contain \`atomscale.adapters\`. So the adapter itself was
**not** run, and no ellipsometer was at hand. Its network behaviour was run, with every release that streams and has tags. A
simulated instrument that sends framed bytes over TCP is polled by an acquisition process of our own, which uses the real
\`TimeseriesStreamer\` (initialize with sample, project and the tags \`instrument:filmsense_fs1\` and \`model:…\`, 10 points a chunk). It ends
chunks by the clock (0.1 s instead of 5 s), has flushes in which a channel is missing and chunks of varying size, and finalizes directly
after the last push. The process is killed with SIGKILL in the middle and started again on the same stream; it sends the newest chunks of
its journal again and goes on. At the end every channel, chunk and bit is compared with the journal.

## Not run

RHEED streaming, file upload and download, and the analysis calls, which this server answers as absent. Releases between those of the
table: generations were found by comparing the contents of the packages, and only the releases above are run. Systems other than Linux.`;
