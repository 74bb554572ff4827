import { readFileSync, writeFileSync } from 'node:fs';
import type { Machine } from './machine.ts';
import { type Result, verdictOf } from './row.ts';

/** The results of one run of the bench, with its settings and the machine. */
export interface Report {
  startedAt: string;
  minutes: number;
  rounds: number;
  secondsPerRound: number;
  connections: number;
  streams: number;
  machine: Machine;
  results: ({ row: string } & Result)[];
  /** Rows without a result, and why. */
  missing: { row: string; reason: string; isFailure: boolean }[];
}

const heads = ['row', 'unit', 'ours', 'baseline', 'ratio', 'must', 'aim', 'reached', 'durability: ours / baseline'];

/** The table as Markdown, with the machine and the settings. */
export function toMarkdown(report: Report): string {
  return [
    ...describeRun(report),
    '',
    markdownTable(report.results),
    ...(report.missing.length > 0
      ? ['', ...report.missing.map((one) => `- no result for ${one.row}: ${one.reason}`)]
      : []),
  ].join('\n');
}

/** The table for a terminal. */
export function toText(report: Report): string {
  const missing = report.missing.map((one) => `${one.isFailure ? 'NO RESULT' : 'left out'}: ${one.row}: ${one.reason}`);
  return [...describeRun(report), '', textTable(report.results), ...missing].join('\n');
}

/** Results as a table of Markdown. */
export function markdownTable(results: readonly Result[]): string {
  const lines = [heads, heads.map(() => '---'), ...results.map(cellsOf)];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Results as a table for a terminal. */
export function textTable(results: readonly Result[]): string {
  const lines = [heads, ...results.map(cellsOf)];
  const widths = heads.map((_, column) => Math.max(...lines.map((cells) => (cells[column] as string).length)));
  const lineOf = (cells: string[]) => cells.map((cell, column) => cell.padEnd(widths[column] as number)).join('  ');
  return lines.map((cells) => lineOf(cells).trimEnd()).join('\n');
}

function describeRun({ machine, ...run }: Report): string[] {
  const { generator, generatorPerSecond, generatorMicroseconds } = machine;
  const share = generatorMicroseconds > 0 ? `, ${generatorMicroseconds} µs of processor each` : '';
  return [
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}, Node ${machine.node}, ` +
      `WORKERS ${machine.workers}, 8 KB synced in ${machine.syncMs} ms, load before ${machine.loadBefore}.`,
    `Median of ${run.rounds} alternating rounds of ${run.secondsPerRound} s, ${run.connections} connections, ` +
      `${run.streams} streams; ${run.startedAt.slice(0, 10)}, ${run.minutes.toFixed(1)} minutes in all.`,
    `Load generator: ${generator}; against a server that only reads it reaches ` +
      `${Math.round(generatorPerSecond).toLocaleString('en')} requests/s${share}.`,
  ];
}

function cellsOf(result: Result): string[] {
  const { bound, ratio, baseline } = result;
  const sign = bound.is === 'at least' ? '≥' : '≤';
  const mark = (value: number) => `${sign} ${bound.of === 'ratio' ? `${plain(value)} ×` : plain(value)}`;
  return [
    result.title,
    result.unit,
    plain(result.ours),
    baseline === null ? '' : plain(baseline),
    ratio === null ? '' : `${plain(ratio)} ×`,
    mark(bound.must),
    mark(bound.aim),
    verdictOf(result),
    result.durability.baseline === ''
      ? result.durability.ours
      : `${result.durability.ours} / ${result.durability.baseline}`,
  ];
}

function plain(value: number): string {
  if (value >= 1_000) return Math.round(value).toLocaleString('en');
  if (value >= 100) return value.toFixed(0);
  if (value >= 10 || value === 0) return String(Number(value.toFixed(1)));
  return String(Number(value.toPrecision(3)));
}

/** Puts the table into a page, between `<!-- NAME -->` and `<!-- end of NAME -->`. @throws when they are not there */
export function writeIntoPage(path: string, name: 'bench' | 'bench:soak', table: string): void {
  const page = readFileSync(path, 'utf8');
  const [from, to] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const start = page.indexOf(from);
  const end = page.indexOf(to);
  if (start < 0 || end < start) throw new Error(`${path} has no place for the table: ${from} … ${to}`);
  writeFileSync(path, `${page.slice(0, start + from.length)}\n${table}\n${page.slice(end)}`);
}
