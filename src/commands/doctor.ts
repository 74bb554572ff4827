import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import type { Command } from 'commander';
import { type Config, ConfigError, readConfig } from '../config.ts';
import { dataFolderBehind } from '../database/data-folder.ts';
import { openAsOwner, openDatabase } from '../database/database.ts';
import { clusterFolder } from '../database/embedded/cluster.ts';
import { type DatabaseLimits, databaseLimits } from '../database/limits.ts';
import { keepsSessions } from '../database/pooler.ts';
import { routeTo } from '../database/route.ts';
import { examine, exitCodeOf, reportOf } from '../doctor/doctor.ts';
import type { Finding } from '../doctor/findings.ts';
import { type DoctorLimits, doctorLimits } from '../doctor/limits.ts';
import { findDatabase } from '../process/database-address.ts';
import { openLog } from '../process/log.ts';
import type { DatabaseAddresses } from '../process/messages.ts';

type Environment = Record<string, string | undefined>;

/** `metrology-server doctor`: examines the server that this environment configures; ends with 0, 1 or 2. */
export function addDoctorCommand(command: Command, environment: Environment, print: (line: string) => void): void {
  command
    .description(
      'look over settings, database, disk, backups and keys; ends with 1 when there are warnings, 2 for faults',
    )
    .option('--json', 'print the findings as JSON')
    .action(async ({ json = false }: { json?: boolean }) => {
      const findings = await diagnose(environment);
      for (const line of json ? [JSON.stringify(findings, undefined, 2)] : reportOf(findings)) print(line);
      process.exitCode = exitCodeOf(findings);
    });
}

/** Examines the server. An error that prevents the examination, such as a wrong setting, becomes a finding itself. */
async function diagnose(environment: Environment): Promise<Finding[]> {
  try {
    const config = readConfig(environment);
    // `findDatabase` would create the embedded database, and an examination must not change anything.
    if (config.DATABASE_URL === undefined && !existsSync(clusterFolder(config.DATA_DIR))) {
      throw new Error(
        `There is no database in DATA_DIR ${config.DATA_DIR} yet; the first start of the server makes it.`,
      );
    }
    const { close, ...addresses } = await findDatabase(config, openLog('fatal'), { mayJoin: true });
    try {
      return await diagnoseOn(config, addresses);
    } finally {
      await close();
    }
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof ConfigError) {
      return [{ check: 'settings', state: 'fault', says: message, advice: 'See "metrology-server --help".' }];
    }
    return [{ check: 'database', state: 'fault', says: message, advice: 'See docs/operations.md#postgresql.' }];
  }
}

async function diagnoseOn(
  config: Config,
  addresses: DatabaseAddresses,
  limits: DoctorLimits = doctorLimits,
): Promise<Finding[]> {
  const { connectionString, ownerUrl } = addresses;
  const quiet = { onIdleError: () => {} };
  const [owner, login] = [openAsOwner(ownerUrl, quiet), openAsOwner(connectionString, quiet)];
  const database = openDatabase(connectionString, { ...quiet, poolMax: 2, replica: config.READ_DATABASE_URL });
  try {
    await owner.pool.query('select 1');
    return await examine({
      settings: config,
      backup: { folder: config.BACKUP_DIR, everyHours: config.BACKUP_EVERY_HOURS },
      diskFolder: () => config.DATABASE_DISK_DIR ?? dataFolderBehind(config.DATA_DIR, connectionString),
      roomOf: async (folder) => {
        const { bavail, blocks, bsize } = await statfs(folder);
        return { free: bavail * bsize, size: blocks * bsize };
      },
      owner: owner.pool,
      login: login.pool,
      service: database.everyOrganization.upkeep.pool,
      replica: database.replica,
      readiness: () => database.readiness.look(),
      keepsSessions: () => sessionsKept(connectionString),
      now: Date.now,
      fetch,
      limits,
    });
  } finally {
    await Promise.all([owner.close(), login.close(), database.close()]);
  }
}

const sessionsKept = (connectionString: string, limits: DatabaseLimits = databaseLimits) =>
  keepsSessions(routeTo(connectionString, limits), limits);
