import { Command } from 'commander';
import { explainFailure } from '../errors.ts';
import { packageVersion } from '../lib/package-info.ts';
import { addTestCommand } from './test.ts';

const program = new Command('metrology-server').version(packageVersion).showHelpAfterError();
addTestCommand(program.command('test'), process.env);

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${explainFailure(error)}\n`);
  process.exit(1);
}
