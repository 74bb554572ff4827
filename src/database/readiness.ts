/**
 * Checks whether this server may go on with its database. `/readyz` and all that acknowledges something use this one
 * check. A server that may not go on refuses to store anything, and says why in a sentence.
 */
import type pg from 'pg';
import type { ConnectionSource } from './access.ts';
import { watchDataFolder } from './data-folder.ts';
import type { Disk } from './disk.ts';
import { ServesNoMore } from './failures.ts';
import { type MigrationFile, readMigrations, shippedFolder } from './migrations.ts';
import { beginPacking, sessionsBefore } from './packing.ts';
import { findProblem, otherDatabase, type Problem, problemOf, readIdentity } from './readiness-facts.ts';

export interface Readiness {
  /**
   * Why this server cannot keep its promises now, in one sentence; undefined when it can. All who ask at the same time, and
   * within `readinessKeepMs` (or `keepMs`), share one look. Never rejects.
   */
  look(keepMs?: number): Promise<string | undefined>;
  /**
   * Why nothing may be stored or acknowledged: a problem of the last check that does not pass by itself, or the data
   * folder, whose check is at most `dataFolderKeepMs` old.
   */
  refusal(): string | undefined;
  /** Why nothing may be read either: the last check has found that organizations are not kept apart. */
  readRefusal(): string | undefined;
  /** Whether series may be packed: a check has found that every session can read packed series (`packing.ts`). */
  packs(): boolean;
  /** Looks every `readinessEveryMs` and tells `log` what changes. @returns what ends it */
  watch(log: ReadinessLog): () => void;
  /**
   * For a new connection of ingest: refuses it if it leads to another database than the first one did.
   * @throws ServesNoMore
   */
  verify(client: Pick<pg.ClientBase, 'query'>): Promise<void>;
}

export interface ReadinessLog {
  warn(about: object, message: string): void;
  error(about: object, message: string): void;
}

interface Options {
  pool: ConnectionSource;
  /** The free space on the disk of the database, which is checked too. */
  disk?: Pick<Disk, 'look' | 'full' | 'note'> | undefined;
  /** How often it checks by itself, and how long a result is reused, in milliseconds. */
  readinessEveryMs: number;
  readinessKeepMs: number;
  /** How long the result is reused that the data folder is there. */
  dataFolderKeepMs: number;
  /** Says where PostgreSQL has its data, if that is on this machine. Called once a connection has been made. */
  dataFolder?: (() => string | undefined) | undefined;
  migrationsFolder?: URL | undefined;
  /** Milliseconds from any origin. */
  now?: () => number;
}

/** A full disk can be the reason why PostgreSQL is down, so the sentence begins with that. */
const whileFull = (problem: Problem, full: string | undefined): Problem =>
  full === undefined || !problem.passes
    ? problem
    : { ...problem, sentence: `${full} ${problem.sentence}`, gist: `full: ${problem.sentence}` };

const gistOf = (problem: Problem | undefined) => problem?.gist ?? problem?.sentence;

/** Before the first good look a start waits for the database, and tells of that itself. */
function tellChanges() {
  let wasReady = false;
  let told: string | undefined;
  return {
    wasReady: () => wasReady,
    note(found: Problem | undefined, log: ReadinessLog | undefined): void {
      wasReady ||= found === undefined;
      if (gistOf(found) === told || (!wasReady && found?.passes)) return;
      told = gistOf(found);
      if (found === undefined) log?.warn({}, 'ready again');
      else log?.error({ problem: found.sentence }, 'not ready');
    },
  };
}

export function createReadiness(options: Options): Readiness {
  const { pool, now = () => performance.now() } = options;
  let folderProblem: (() => string | undefined) | undefined;
  let files: readonly MigrationFile[] | undefined;
  let identity: string | undefined;
  let found: Problem | undefined;
  let foundAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;
  const changes = tellChanges();
  let log: ReadinessLog | undefined;
  let packs = false;
  let isPackingLogged = false;

  async function verify(client: Parameters<typeof readIdentity>[0]): Promise<void> {
    const present = await readIdentity(client);
    if (identity === undefined) {
      identity = present;
      const folder = options.dataFolder?.();
      if (folder !== undefined) folderProblem = watchDataFolder(folder, options.dataFolderKeepMs);
    }
    if (present !== identity) throw new ServesNoMore(otherDatabase(identity, present));
  }

  async function findNow(): Promise<Problem | undefined> {
    await options.disk?.look(log);
    try {
      files ??= await readMigrations(options.migrationsFolder ?? shippedFolder);
      await verify(pool);
      const problem = await findProblem(pool, files);
      if (problem === undefined && !packs) await tryPacking();
      const full = options.disk?.full();
      return (
        problem ?? (full === undefined ? undefined : { sentence: `${full} Reads go on.`, passes: true, gist: 'full' })
      );
    } catch (error) {
      if (error instanceof ServesNoMore) return { sentence: error.message, passes: false };
      options.disk?.note(error);
      const problem = whileFull(problemOf(error), options.disk?.full());
      if (changes.wasReady() && gistOf(problem) !== gistOf(found))
        log?.warn({ err: error }, 'the database could not be asked');
      return problem;
    }
  }

  /** Logs once what keeps packing from beginning: until all servers have been updated, that is normal. */
  async function tryPacking(): Promise<void> {
    packs = await beginPacking(pool);
    if (packs || isPackingLogged || log === undefined) return;
    isPackingLogged = true;
    const sessions = await sessionsBefore(pool);
    log.warn({ sessions }, 'series are not packed while these sessions may be unable to read packed ones');
  }

  async function lookNow(): Promise<void> {
    found = await findNow();
    foundAt = now();
    looking = undefined;
    changes.note(found, log);
  }

  async function look(keepMs = options.readinessKeepMs): Promise<string | undefined> {
    if (looking === undefined && now() - foundAt >= keepMs) looking = lookNow();
    await looking;
    return folderProblem?.() ?? found?.sentence;
  }

  return {
    look,
    refusal: () => folderProblem?.() ?? (found?.passes === false ? found.sentence : undefined),
    readRefusal: () => (found?.forbidsReads ? found.sentence : undefined),
    packs: () => packs,
    watch(given) {
      log = given;
      void look();
      const timer = setInterval(() => void look(), options.readinessEveryMs);
      timer.unref();
      return () => clearInterval(timer);
    },
    verify,
  };
}
