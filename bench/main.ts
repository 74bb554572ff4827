import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { rows } from './rows.ts';
import { type Bench, openBench } from './support/bench.ts';
import { measure } from './support/load.ts';
import { describeMachine, type Machine } from './support/machine.ts';
import { type Arguments, readArguments, usage } from './support/options.ts';
import { isInstalled } from './support/processes.ts';
import { type Report, toMarkdown, toText, writeIntoPage } from './support/report.ts';
import type { Row } from './support/row.ts';
import { NotInstalled } from './support/target.ts';

/*
 * Measures the rows one after another and prints the table. The exit code is 1 when a row gave no result: one unexpected
 * answer, or stored points that do not add up, make a measurement worthless.
 */
const say = (text: string) => process.stderr.write(`${text}\n`);

async function main(): Promise<number> {
  let given: Arguments;
  try {
    given = readArguments(process.argv.slice(2), isInstalled('wrk'));
  } catch (error) {
    say(`${(error as Error).message}\n${usage}`);
    return 2;
  }
  if (given.render !== undefined) {
    show(JSON.parse(readFileSync(given.render, 'utf8')) as Report, given);
    return 0;
  }
  const chosen = chooseRows(given);
  if (given.list) {
    for (const row of chosen) process.stdout.write(`${row.id.padEnd(20)} ${row.question}\n`);
    return 0;
  }
  const report = await run(given, chosen);
  const path = given.json ?? join(project, 'bench/results', `${given.soak ? 'soak' : 'bench'}-${stamp(report)}.json`);
  mkdirSync(dirname(resolve(path)), { recursive: true });
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
  show(report, given);
  say(`\nwritten to ${path}`);
  return report.missing.some((one) => one.isFailure) ? 1 : 0;
}

const project = process.env.BENCH_PROJECT ?? '.';
const stamp = (report: Report) => report.startedAt.replaceAll(/[:.]/g, '-');

function chooseRows({ only, soak, list, options }: Arguments): Row[] {
  const unknown = only.filter((id) => !rows.some((row) => row.id === id));
  if (unknown.length > 0) throw new Error(`no row is called ${unknown.join(', ')}; --list names them`);
  if (only.length > 0) return rows.filter((row) => only.includes(row.id));
  if (options.tiny) return rows.filter((row) => !/victoria|influx|processor/.test(row.id));
  return rows.filter((row) => list || Boolean(row.soak) === soak);
}

async function run({ options }: Arguments, chosen: Row[]): Promise<Report> {
  const startedAt = new Date();
  const bench = openBench(options, say);
  // A Ctrl-C comes twice, from the terminal and from start.mjs. A second close does nothing more.
  const stopEarly = () => void bench.close().finally(() => process.exit(130));
  process.on('SIGINT', stopEarly).on('SIGTERM', stopEarly);
  try {
    const machine = { ...describeMachine(), ...(await tryGenerator(bench)) };
    const report: Report = {
      startedAt: startedAt.toISOString(),
      minutes: 0,
      rounds: options.rounds,
      secondsPerRound: options.seconds,
      connections: options.connections,
      streams: options.streams,
      machine,
      results: [],
      missing: [],
    };
    for (const row of chosen) await runRow(row, bench, report);
    report.minutes = (Date.now() - startedAt.getTime()) / 60_000;
    return report;
  } finally {
    await bench.close();
  }
}

async function runRow(row: Row, bench: Bench, report: Report): Promise<void> {
  say(`\n${row.id}: ${row.question}`);
  try {
    const results = await row.run(bench);
    report.results.push(...results.map((result) => ({ row: row.id, ...result })));
  } catch (error) {
    const isFailure = !(error instanceof NotInstalled);
    const reason = (error as Error).message;
    report.missing.push({ row: row.id, reason, isFailure });
    say(isFailure ? `NO RESULT: ${(error as Error).stack}` : reason);
  }
}

async function tryGenerator(
  bench: Bench,
): Promise<Pick<Machine, 'generator' | 'generatorPerSecond' | 'generatorMicroseconds'>> {
  const { options } = bench;
  return bench.on('discard', async (target) => {
    const measured = await measure(target, await bench.loadFor(target, { format: 'chunk', points: 100 }), options);
    return {
      generator: options.generator,
      generatorPerSecond: measured.requestsPerSecond,
      generatorMicroseconds: measured.cpuMicroseconds.generator ?? 0,
    };
  });
}

function show(report: Report, { markdown }: Arguments): void {
  process.stdout.write(`\n${toText(report)}\n`);
  const isSoak = report.results.some((result) => rows.some(({ id, soak }) => soak && id === result.row));
  if (markdown !== undefined) writeIntoPage(markdown, isSoak ? 'bench:soak' : 'bench', toMarkdown(report));
}

process.exitCode = await main();
