/**
 * Applies retention rules: finds the runs that are due, archives them, checks the archives, and only then removes the runs.
 *
 * At every moment each run is complete in the database, or in an archive that has been read back. The progress of a call is
 * not stored. The folder of an archive gets its final name only when it is complete. A run is marked for removal only if
 * its state is still that of its archive. A run that is marked and archived is removed by the next call.
 */
import { readdir, rm } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { type Actor, theServer } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import { makeFolder } from '../lib/make-folder.ts';
import type { ArchivedRun } from './archive-format.ts';
import { certifySame, checkArchive } from './check-archives.ts';
import {
  type DueRun,
  findArchivedOrganization,
  findBytesPerPoint,
  findScope,
  listDueRuns,
  listGivenUp,
  type RuleScope,
} from './due-store.ts';
import { type RetentionLimits, retentionLimits } from './limits.ts';
import { removeRun } from './remove.ts';
import { alone } from './retention-lock.ts';
import { describeRule, type Rule } from './rules.ts';
import { findRun, giveUpUnchanged } from './run-store.ts';
import { archivePath, certificateOf, writeArchive } from './write.ts';

/** A rule, with the runs that are due by it and by no earlier rule. */
export interface PlannedRule {
  rule: Rule;
  runs: DueRun[];
  points: number;
  /** About how many bytes they take in the database. */
  bytes: number;
  /** Why the rule matches nothing; undefined if the organization, project and tag that it names exist. */
  problem?: string;
}

/** Finds the runs that are due. Changes nothing. */
export async function planRetention(
  database: Database,
  rules: readonly Rule[],
  given: Partial<RetentionLimits> = {},
): Promise<PlannedRule[]> {
  const limits = { ...retentionLimits, ...given };
  const pointBytes = await findBytesPerPoint(database);
  const taken = new Set<string>();
  const planned: PlannedRule[] = [];
  for (const rule of rules) {
    const problem = problemOf(rule, await findScope(database, rule));
    const runs: DueRun[] = [];
    for (let after = noId; taken.size < limits.runsMax; ) {
      const page = await listDueRuns(database, rule, after, Math.min(limits.pageRunsMax, limits.runsMax - taken.size));
      for (const run of page) {
        if (!taken.has(run.dataId)) runs.push(run);
        taken.add(run.dataId);
      }
      const last = page.at(-1);
      if (last === undefined) break;
      after = last.dataId;
    }
    const points = runs.reduce((sum, run) => sum + run.points, 0);
    planned.push({
      rule,
      runs,
      points,
      bytes: Math.round(points * pointBytes),
      ...(problem !== undefined && { problem }),
    });
  }
  return planned;
}

const noId = '00000000-0000-0000-0000-000000000000';

function problemOf({ organization, project, tag }: Rule, scope: RuleScope): string | undefined {
  if (!scope.organization) return `there is no organization "${organization}"`;
  if (!scope.project) return `organization "${organization}" has no project "${project}"`;
  return scope.tag ? undefined : `organization "${organization}" has no tag "${tag}"`;
}

/** What happened to a run that was due. */
export interface RunOutcome {
  dataId: string;
  /** `changed`: the run was changed meanwhile and stays. `failed`: the run stays, and `problem` says why. */
  became: 'removed' | 'changed' | 'failed';
  /** Where its archive is. */
  path?: string;
  problem?: string;
}

/** The steps for a run, in order. */
export type Step = 'archived' | 'checked' | 'given up' | 'removed';

export interface RetentionOptions {
  /** Where archives are kept. */
  folder: string;
  now(): number;
  /** Who is written into the audit log; by default the server. */
  actor?: Actor;
  /** Aborting it ends the call after the current run. */
  signal?: AbortSignal | undefined;
  onOutcome?: (outcome: RunOutcome) => void;
  /** Is awaited after each step of a run. */
  onStep?: (step: Step, dataId: string) => Promise<void> | void;
  limits?: Partial<RetentionLimits>;
}

interface Work extends RetentionOptions {
  actor: Actor;
  database: Database;
  limits: RetentionLimits;
}

/**
 * Archives and removes all runs that are due, one after the other.
 * @returns what happened to each run
 * @throws RetentionBusy; a system error when the folder cannot be written, since the next run would fail in the same way
 */
export function applyRetention(
  database: Database,
  rules: readonly Rule[],
  options: RetentionOptions,
): Promise<RunOutcome[]> {
  const work: Work = { actor: theServer, ...options, database, limits: { ...retentionLimits, ...options.limits } };
  return alone(
    database,
    async (lost) => {
      makeFolder(work.folder, 0o700);
      const outcomes = await finishRemovals(work);
      for (const { rule, runs } of await planRetention(database, rules, work.limits)) {
        for (const run of runs) {
          lost.throwIfAborted();
          if (work.signal?.aborted) return outcomes;
          const outcome = await applyToRun(work, run, describeRule(rule));
          outcomes.push(outcome);
          work.onOutcome?.(outcome);
        }
      }
      return outcomes;
    },
    work.limits,
  );
}

/**
 * Removes runs that an earlier call has archived and marked for removal. Runs that others are removing are left to them.
 */
async function finishRemovals(work: Work): Promise<RunOutcome[]> {
  const names = await readdir(work.folder);
  const outcomes: RunOutcome[] = [];
  for (const { dataId, organizationId } of await listGivenUp(work.database)) {
    if (!names.some((name) => new RegExp(`^${dataId}-[0-9a-f]{8}$`).test(name))) continue;
    await removeRun(work.database.as(organizationId, undefined, work.actor), dataId);
    const outcome: RunOutcome = { dataId, became: 'removed' };
    outcomes.push(outcome);
    work.onOutcome?.(outcome);
  }
  return outcomes;
}

async function applyToRun(work: Work, run: DueRun, rule: string): Promise<RunOutcome> {
  const { dataId } = run;
  try {
    const path = await archiveAndRemove(work, run, rule);
    return path === undefined ? { dataId, became: 'changed' } : { dataId, became: 'removed', path };
  } catch (error) {
    // A system error, such as a full disk or a database that is away, would meet the next run too.
    if ((error as NodeJS.ErrnoException).syscall !== undefined) throw error;
    return { dataId, became: 'failed', problem: (error as Error).message };
  }
}

/** @returns the path of the archive; undefined when the run was changed meanwhile */
async function archiveAndRemove(
  work: Work,
  { dataId, organizationId }: DueRun,
  rule: string,
): Promise<string | undefined> {
  const { database, limits, now, folder, onStep, actor } = work;
  const organization = database.as(organizationId, undefined, actor);
  const [run, named] = [
    await findRun(organization, dataId),
    await findArchivedOrganization(database, { id: organizationId, name: '' }),
  ];
  if (run === undefined || named === undefined) return undefined;
  const whole = { ...run, organization: named };
  const path = archivePath(folder, run);
  if (!(await isArchiveOf(work, path, whole).catch(() => false))) {
    // An archive that is left from before is of another state, or damaged. The run is still in the database, so it is
    // archived again.
    await rm(path, { recursive: true, force: true });
    await writeArchive({ organization, limits, now }, whole, rule, path);
    await onStep?.('archived', dataId);
    if (!(await isArchiveOf(work, path, whole))) {
      await rm(path, { recursive: true });
      return undefined;
    }
  }
  await onStep?.('checked', dataId);
  if (!(await giveUpUnchanged(organization, dataId, run.state))) {
    await rm(path, { recursive: true });
    return undefined;
  }
  await onStep?.('given up', dataId);
  await removeRun(organization, dataId);
  await onStep?.('removed', dataId);
  return path;
}

/**
 * Reads a whole archive.
 * @returns whether it agrees with what the database has about the run now
 * @throws when the archive is damaged or does not exist
 */
async function isArchiveOf({ database, limits }: Work, path: string, run: ArchivedRun): Promise<boolean> {
  const { manifest, certificate } = await checkArchive(path, limits);
  const pieces: Buffer[] = [];
  for await (const piece of await certificateOf(database.as(run.organization.id), run.data_id)) pieces.push(piece);
  return certifySame(JSON.parse(Buffer.concat(pieces).toString()), certificate) && isDeepStrictEqual(manifest.run, run);
}
