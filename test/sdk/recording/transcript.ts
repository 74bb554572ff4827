import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';

/** One call as it left the SDK and what the server answered; ids, times and the key are replaced by placeholders. */
export interface Exchange {
  readonly method: string;
  /** As in the request line, with every slash. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The text that was sent; absent when there was none. */
  readonly body?: string;
  readonly status: number;
  readonly answer: string;
}

export interface Step {
  readonly step: string;
  /** The call of the SDK; empty for what was prepared by plain requests. */
  readonly call: string;
  readonly outcome: 'works' | 'fails';
  readonly detail: string;
  readonly exchanges: readonly Exchange[];
}

/** What one release sends in one acquisition that is streamed, found and read. */
export interface Transcript {
  readonly package: string;
  readonly version: string;
  readonly generation: string;
  readonly steps: readonly Step[];
}

export const transcriptsFolder = resolve(import.meta.dirname, '../../transcripts');

export function transcriptFile(release: { package: string; version: string }): string {
  return join(transcriptsFolder, `${release.package}-${release.version}.yaml`);
}

/** Every transcript that is kept, oldest release first. */
export async function readTranscripts(): Promise<Transcript[]> {
  const files = (await readdir(transcriptsFolder)).filter((file) => file.endsWith('.yaml'));
  const all = await Promise.all(files.map((file) => readTranscript(join(transcriptsFolder, file))));
  const age = ({ package: name, version }: Transcript) => [
    name === 'atomicds' ? 0 : 1,
    ...version.split('.').map(Number),
  ];
  return all.sort((one, other) => compare(age(one), age(other)));
}

export async function readTranscript(file: string): Promise<Transcript> {
  return parse(await readFile(file, 'utf8')) as Transcript;
}

export async function writeTranscript(transcript: Transcript): Promise<void> {
  await writeFile(transcriptFile(transcript), stringify(transcript, { lineWidth: 0, singleQuote: true }));
}

/** The calls of a transcript without their order: what runs side by side in the SDK arrives in any order. */
export function callsOf(transcript: Transcript): string[] {
  return transcript.steps.flatMap(({ step, outcome, exchanges }) => [
    `${step}: ${outcome}`,
    ...exchanges.map((exchange) => `${step}: ${stringify(exchange, { lineWidth: 0 })}`).sort(),
  ]);
}

function compare(one: readonly number[], other: readonly number[]): number {
  const place = one.findIndex((number, index) => number !== other[index]);
  return place < 0 ? 0 : (one[place] ?? 0) - (other[place] ?? 0);
}
