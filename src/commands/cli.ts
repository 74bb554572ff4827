import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { pino } from 'pino';
import { defaultOrganization } from '../auth/keys.ts';
import { ensureUser } from '../auth/people-store.ts';
import { instrumentTypes } from '../catalogue/growth-instruments/schemas.ts';
import { createGrowthInstrument } from '../catalogue/growth-instruments/store.ts';
import { ConfigSchema, readConfig } from '../config.ts';
import { type OwnerDatabase, openAsOwner, openDatabase } from '../database/database.ts';
import { demo } from '../demo/demo.ts';
import { explainFailure } from '../errors.ts';
import { packageRelease } from '../lib/package-info.ts';
import { type LogFormat, openLog } from '../process/log.ts';
import { openStore, openUnprepared, type Store } from '../process/open-database.ts';
import { addAuditCommand } from './audit.ts';
import { addBackupCommand } from './backup.ts';
import { addDistributeCommand } from './distribute.ts';
import { addDoctorCommand } from './doctor.ts';
import { addKeysCommands } from './keys.ts';
import { createListing } from './listing.ts';
import { operatorHere } from './operator.ts';
import { addOrganizationsCommands } from './organizations.ts';
import { addProjectsCommands } from './projects.ts';
import { addProvisionCommand } from './provision.ts';
import { addRepackCommand } from './repack.ts';
import { addRestoreCommand } from './restore.ts';
import { addRetentionCommands } from './retention.ts';
import { addSqlReadersCommands } from './sql-readers.ts';
import { addStreamsCommands } from './streams.ts';
import { owner, type WithDatabase } from './surroundings.ts';
import { addTestCommand } from './test.ts';
import { addUsersCommands } from './users.ts';
import { addVerifyCommand } from './verify.ts';

/** What commands read and write. */
const standard = { input: process.stdin, output: process.stdout, errors: process.stderr };

// The modules that serve HTTP are imported only by the commands that need them: loading them takes longer than most
// commands.
const program = new Command('metrology-server')
  .description('A self-hosted backend for the Atomscale metrology streaming API.')
  .version(packageRelease)
  .showHelpAfterError()
  .addHelpText('after', `\nSettings, read from the environment:\n${settingsHelp()}\n`);

program
  .command('serve')
  .description('run the server until it is told to stop')
  .action(async () => {
    const { serve } = await import('../process/serve.ts');
    await serve(readConfig(process.env), process.env);
  });

addTestCommand(program.command('test'), process.env);

program
  .command('migrate')
  .description('bring the database up to date and stop')
  .action(() => withStore(async () => print('The database is up to date.')));

addDistributeCommand(program.command('distribute'), {
  withOwner: (work) => withOwner(work, { statementMsMax: 0 }),
  print,
});
addVerifyCommand(program.command('verify'), { withStore, print });
addRepackCommand(program.command('repack'), { withStore, output: process.stdout });
addRetentionCommands(program.command('retention'), { withStore, print, config: () => readConfig(process.env) });

addBackupCommand(program.command('backup'), { withStore, ...standard });
addRestoreCommand(program.command('restore'), {
  open: () => openUnprepared(readConfig(process.env), openLog('warn')),
  ...standard,
});

addDoctorCommand(program.command('doctor'), process.env, print);

const withDatabase: WithDatabase = (work) => withStore(({ database }) => work(database));
const listing = createListing(process.stdout);
const actor = operatorHere();

addKeysCommands(program.command('keys'), {
  withDatabase,
  listing,
  print,
  environment: process.env,
  actor,
  pageUrl: async () => {
    const { PUBLIC_URL, HOST, PORT } = readConfig(process.env);
    const { endpointOf } = await import('../process/listen.ts');
    return PUBLIC_URL ?? endpointOf(HOST, PORT);
  },
});
addOrganizationsCommands(program.command('organizations'), { withDatabase, listing, actor });
addUsersCommands(program.command('users'), { withDatabase, listing, actor });
addProjectsCommands(program.command('projects'), { withDatabase, listing, actor });
addStreamsCommands(program.command('streams'), {
  withDatabase,
  listing,
  actor,
  idleSeconds: () => readConfig(process.env).STREAM_IDLE_SECONDS,
});
addProvisionCommand(program.command('provision'), { withDatabase, listing, environment: process.env, actor });
addSqlReadersCommands(program.command('sql-readers'), { withOwner, print, actor });
addAuditCommand(program.command('audit'), { withStore, output: process.stdout });

program
  .command('instruments')
  .description('growth instruments of an organization')
  .command('create')
  .description('make a growth instrument and print its synth_source_id')
  .argument('<label>', 'its name in the lab')
  .addOption(new Option('--type <type>', 'kind of growth').choices([...instrumentTypes]).makeOptionMandatory())
  .option('--model <name>', 'manufacturer and model')
  .option('--serial <id>', 'serial number')
  .addOption(owner.organization().default(defaultOrganization))
  .addOption(owner.user())
  .action((label, { type, model, serial, organization, user }) =>
    withStore(async ({ database }) => {
      const { organization_id, user_id } = await ensureUser(database, organization, user, actor);
      const fields = { label, name: model ?? label, type, serial_id: serial ?? null };
      const instrument = await createGrowthInstrument(database.as(organization_id), user_id, fields);
      print(String(instrument.synth_source_id));
    }),
  );

program
  .command('demo')
  .description('stream a measured record into a running server, or into one of its own, and read it back')
  .option('--endpoint <url>', 'address of the server (default: AS_API_ENDPOINT, then the one of HOST and PORT)')
  .option('--key <key>', 'API key (default: AS_API_KEY, then DATA_DIR/api-key)')
  .action(
    async ({ endpoint = process.env.AS_API_ENDPOINT || undefined, key = process.env.AS_API_KEY || undefined }) => {
      const config = readConfig(process.env);
      const { endpointOf } = await import('../process/listen.ts');
      // The reader of the output may close it (`| head`). The demo must still end in order and stop its server.
      process.stdout.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EPIPE') throw error;
      });
      return demo({
        endpoint,
        defaultEndpoint: endpointOf(config.HOST, config.PORT),
        key,
        dataDir: config.DATA_DIR,
        program: fileURLToPath(import.meta.url),
        environment: process.env,
        output: process.stdout,
      });
    },
  );

program
  .command('openapi')
  .description('print the OpenAPI document')
  .action(async () => {
    const { buildApp } = await import('../app.ts');
    const { openapiYaml } = await import('../http/openapi.ts');
    // Never connects: the document is made from the schemas of the routes alone.
    const database = openDatabase('postgresql://localhost/none', { poolMax: 1, onIdleError: () => {} });
    const app = await buildApp({ config: readConfig({}), database, log: pino({ level: 'silent' }) });
    await app.ready();
    process.stdout.write(openapiYaml(app));
  });

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${explainFailure(error)}\n`);
  process.exit(1);
}

/** Runs one command on the configured database, as the server's own role. A server may run at the same time or not. */
async function withStore(work: (store: Store) => Promise<void>): Promise<void> {
  const config = readConfig(process.env);
  const log = openLog('warn', 2, config.LOG_FORMAT as LogFormat);
  const store = await openStore(config, log, { mayJoin: true });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

/** Runs one command on the configured database, as the role that owns the tables. */
async function withOwner(
  work: (owner: OwnerDatabase, connectionString: string) => Promise<void>,
  options: { statementMsMax?: number } = {},
): Promise<void> {
  await withStore(async ({ connectionString, ownerUrl }) => {
    const owner = openAsOwner(ownerUrl, { onIdleError: () => {}, ...options });
    await work(owner, connectionString).finally(() => owner.close());
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function settingsHelp(): string {
  return Object.entries(ConfigSchema.properties)
    .map(([name, { default: fallback, description }]) => {
      const shown = fallback === undefined ? '' : ` (default ${fallback})`;
      return `  ${name.padEnd(24)}${description}${shown}`;
    })
    .join('\n');
}
