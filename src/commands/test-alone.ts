import { Command } from 'commander';
import { explainFailure } from '../errors.ts';
import { packageRelease } from '../lib/package-info.ts';
import { addTestCommand } from './test.ts';

const program = new Command('metrology-server').version(packageRelease).showHelpAfterError();
addTestCommand(program.command('test'), process.env);

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${explainFailure(error)}\n`);
  process.exit(1);
}
