import type { Command } from 'commander';
import type { Actor } from '../database/audit.ts';
import { jsonHelp, jsonOption, type Listing } from './listing.ts';
import type { WithDatabase } from './surroundings.ts';

interface Surroundings {
  withDatabase: WithDatabase;
  listing: Listing;
  environment: Record<string, string | undefined>;
  /** Who runs the command, for the audit log. */
  actor: Actor;
}

/** `metrology-server provision`: applies a file now, as the start of a server does with PROVISIONING_FILE. */
export function addProvisionCommand(
  command: Command,
  { withDatabase, listing, environment, actor }: Surroundings,
): void {
  command
    .description('make the organizations, users, keys and projects of a file (YAML or JSON); removes nothing')
    .argument('<file>')
    .option('--dry-run', 'say what would be done, and change nothing', false)
    .addOption(jsonOption())
    .addHelpText('after', jsonHelp)
    .action(async (path: string, { dryRun, json }: { dryRun: boolean; json: boolean }) => {
      const { readProvisioning } = await import('../provisioning/provisioning-file.ts');
      const { applyProvisioning, countProvisioned, describeProvisioned } = await import('../provisioning/provision.ts');
      const wanted = readProvisioning(path, environment);
      await withDatabase(async (database) => {
        const done = await applyProvisioning(database, wanted, { actor, now: Date.now, isDryRun: dryRun });
        for (const one of done) {
          if (json || one.became !== 'unchanged')
            listing.tell({ ...one, is_dry_run: dryRun }, `${describeProvisioned(one)}.`, json);
        }
        if (json) return;
        const { made, changed, unchanged } = countProvisioned(done);
        const dry = dryRun ? ' It was a dry run: nothing was changed.' : '';
        listing.say(`Made: ${made}. Changed: ${changed}. Left as they were: ${unchanged}.${dry}`);
      });
    });
}
