import type { Command } from 'commander';
import type { OwnerDatabase } from '../database/database.ts';
import { distribute, dropped, freeMoved } from '../distribution/distribute.ts';
import { planDistribution, type TablePlan } from '../distribution/plan.ts';
import { megabytes } from './progress.ts';

interface Surroundings {
  /** Runs one command on the configured database, as the role that owns the tables and without a time-out. */
  withOwner: (work: (owner: OwnerDatabase) => Promise<void>) => Promise<void>;
  print(line: string): void;
}

/** `metrology-server distribute`: spreads the tables of a database over the nodes of a Citus cluster. */
export function addDistributeCommand(command: Command, { withOwner, print }: Surroundings): void {
  command
    .description('spread a database over the nodes of a Citus cluster, while no server runs (docs/scale.md)')
    .option('--dry-run', 'only say what would be done')
    .action(({ dryRun = false }: { dryRun?: boolean }) =>
      withOwner(async (owner) => {
        const { isDone, nodes, tables } = await planDistribution(owner);
        print(`Workers: ${nodes.join(', ')}`);
        if (!isDone) for (const table of tables) print(lineOf(table));
        if (dryRun && !isDone) print(dropped);
        if (dryRun) return print(isDone ? 'The database is distributed.' : 'Nothing was changed (--dry-run).');
        if (!isDone) await distribute(owner, print);
        await freeMoved(owner, print);
        print('The database is distributed.');
      }),
    );
}

const lineOf = ({ name, becomes, rows, bytes }: TablePlan) =>
  `${name.padEnd(26)}${becomes === 'distributed' ? 'by stream' : 'copied to every node'}, about ${rows} rows, ${megabytes(bytes)}`;
