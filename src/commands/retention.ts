import { type Command, Option } from 'commander';
import type { Config } from '../config.ts';
import { theServer } from '../database/audit.ts';
import { type Database, openDatabase } from '../database/database.ts';
import { busyCode } from '../process/retention-schedule.ts';
import type { PlannedRule, RunOutcome } from '../retention/apply-rules.ts';
import type { Restored } from '../retention/restore-run.ts';
import { operatorHere } from './operator.ts';
import { megabytes } from './progress.ts';
import { stopSignal } from './stop-signal.ts';

interface Surroundings {
  /** Runs one command on the configured database. */
  withStore: (work: (store: { connectionString: string }) => Promise<void>) => Promise<void>;
  print: (line: string) => void;
  config: () => Pick<Config, 'RETENTION_FILE' | 'RETENTION_DIR'>;
}

interface Options {
  rules?: string;
  to?: string;
  apply?: boolean;
  json?: boolean;
  scheduled?: boolean;
  organization?: string;
}

/** `metrology-server retention`: archives and removes old runs, checks archives and restores runs (docs/retention.md). */
export function addRetentionCommands(command: Command, { withStore, print, config }: Surroundings): void {
  const withDatabase = (work: (database: Database) => Promise<void>) =>
    withStore(async ({ connectionString }) => {
      // Runs may be of any length, so statements have no time-out.
      const database = openDatabase(connectionString, { poolMax: 2, onIdleError: () => {}, statementMsMax: 0 });
      await work(database).finally(() => database.close());
    });
  command
    .description(
      'archive runs that the rules call old, and remove them; lists them unless --apply is given (docs/retention.md)',
    )
    .option('--rules <file>', 'file of the rules (default: RETENTION_FILE)')
    .option('--to <folder>', 'where archives are kept (default: RETENTION_DIR)')
    .option('--apply', 'archive, check and remove; without it nothing is changed')
    .option('--json', 'print JSON')
    .addOption(new Option('--scheduled', 'it is the server that calls').hideHelp())
    .action(async (options: Options) => {
      const { readRules } = await import('../retention/rules.ts');
      const { rules: path = config().RETENTION_FILE, to: folder = config().RETENTION_DIR } = options;
      if (path === undefined) throw new Error('Name the file of the rules: --rules FILE, or RETENTION_FILE.');
      if (options.apply && folder === undefined)
        throw new Error('Name a folder for the archives: --to FOLDER, or RETENTION_DIR.');
      const rules = readRules(path);
      await withDatabase(async (database) => {
        if (options.apply && folder !== undefined) await apply(database, rules, folder, options, print);
        else await list(database, rules, options.json === true, print);
      });
    });
  command
    .command('restore')
    .description('bring archived runs back, under the same ids and bit for bit; archives stay where they are')
    .argument('<folders...>', 'archives, as `retention --apply` has written them')
    .option('--organization <name>', 'which organization gets them (default: the one that had them)')
    .option('--json', 'print JSON')
    .action((folders: string[], _options, own: Command) =>
      withDatabase(async (database) => {
        const { organization, json } = own.optsWithGlobals<Options>();
        const { restoreArchive } = await import('../retention/restore-run.ts');
        for (const folder of folders) {
          const restored = await restoreArchive(database, folder, { organization, actor: operatorHere() });
          print(json ? JSON.stringify({ folder, ...restored }) : restoredLine(restored));
        }
      }),
    );
  command
    .command('check')
    .description('read archives as a whole and compare every hash; needs no database')
    .argument('<folders...>')
    .option('--json', 'print JSON')
    .action(async (folders: string[], _options, own: Command) => {
      const { checkArchive } = await import('../retention/check-archives.ts');
      const { json } = own.optsWithGlobals<Options>();
      for (const folder of folders) {
        const problem = await checkArchive(folder).then(
          () => undefined,
          (error: Error) => error.message,
        );
        if (problem !== undefined) process.exitCode = 1;
        print(
          json ? JSON.stringify({ folder, whole: problem === undefined, problem }) : `${folder}: ${problem ?? 'whole'}`,
        );
      }
    });
}

type Rules = Parameters<typeof import('../retention/apply-rules.ts')['planRetention']>[1];

async function list(database: Database, rules: Rules, json: boolean, print: (line: string) => void): Promise<void> {
  const { planRetention } = await import('../retention/apply-rules.ts');
  const planned = await planRetention(database, rules);
  if (planned.some(({ problem }) => problem !== undefined)) process.exitCode = 1;
  if (json) return print(JSON.stringify({ applied: false, rules: planned }));
  const { describeRule } = await import('../retention/rules.ts');
  for (const part of planned) for (const line of linesOf(part, describeRule(part.rule))) print(line);
  const runs = planned.reduce((sum, part) => sum + part.runs.length, 0);
  print(`${countOf(runs)} due. Nothing was changed; --apply archives and removes them.`);
}

const countOf = (runs: number) => (runs === 1 ? '1 run is' : `${runs} runs are`);

function linesOf({ runs, points, bytes, problem }: PlannedRule, rule: string): string[] {
  if (problem !== undefined) return [`${rule}: ${problem}`];
  return [
    `${rule}: ${runs.length} ${runs.length === 1 ? 'run' : 'runs'}, ${points} points, about ${megabytes(bytes)}`,
    ...runs.map(
      ({ dataId, name, points, changedAt, isFinalized }) =>
        `  ${dataId}  ${points} points  last changed ${changedAt}${isFinalized ? '' : ', never finalized'}  ${name}`,
    ),
  ];
}

async function apply(
  database: Database,
  rules: Rules,
  folder: string,
  { json = false, scheduled = false }: Options,
  print: (line: string) => void,
): Promise<void> {
  const { applyRetention } = await import('../retention/apply-rules.ts');
  const signal = stopSignal();
  const { RetentionBusy } = await import('../retention/retention-lock.ts');
  const outcomes = await applyRetention(database, rules, {
    folder,
    actor: scheduled ? theServer : operatorHere(),
    now: Date.now,
    signal,
    onOutcome: (outcome) => print(json ? JSON.stringify(outcome) : outcomeLine(outcome)),
  }).catch((error) => {
    if (!(error instanceof RetentionBusy)) throw error;
    process.exitCode = busyCode;
    print(json ? JSON.stringify({ applied: false, busy: true }) : error.message);
  });
  if (outcomes === undefined) return;
  const count = (became: RunOutcome['became']) => outcomes.filter((outcome) => outcome.became === became).length;
  const [removed, changed, failed] = [count('removed'), count('changed'), count('failed')];
  if (failed > 0) process.exitCode ??= 1;
  if (json) print(JSON.stringify({ applied: true, removed, changed, failed, stopped: signal.aborted }));
  else print(`Archived and removed: ${removed}. Left since they have changed: ${changed}. Failed: ${failed}.`);
  if (signal.aborted && !json) print('Stopped before the end: run this again to go on.');
}

function outcomeLine({ dataId, became, path, problem }: RunOutcome): string {
  if (became === 'failed') return `${dataId}: stays, ${problem}`;
  if (became === 'changed') return `${dataId}: stays, it was changed meanwhile`;
  return path === undefined
    ? `${dataId}: removed, as an earlier call had begun`
    : `${dataId}: removed, archived in ${path}`;
}

function restoredLine({ dataId, name, chunks, points, wasThere, lost }: Restored): string {
  if (wasThere) return `${dataId} is there already, with the same content.`;
  const said = lost.map((what) => `\n  ${what}; run.json of the archive has all of it`).join('');
  return `${dataId} is back: "${name}", ${chunks} chunks, ${points} points.${said}`;
}
