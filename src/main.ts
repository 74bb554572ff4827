import { readConfig } from './config.ts';
import { explainFailure } from './errors.ts';
import { serve } from './process/serve.ts';

// Without this check, `main.js backup` would silently start a server.
const [unknown] = process.argv.slice(2);
if (unknown !== undefined) {
  process.stderr.write(
    `dist/main.js runs the server and takes no arguments, so "${unknown}" means nothing to it. The commands are those of "metrology-server" (node dist/commands/metrology-server.js --help).\n`,
  );
  process.exit(1);
}

try {
  await serve(readConfig(process.env), process.env);
} catch (error) {
  process.stderr.write(`metrology-server cannot start.\n${explainFailure(error)}\n`);
  process.exit(1);
}
