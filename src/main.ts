import { readConfig } from './config.ts';
import { explainFailure } from './errors.ts';
import { serve } from './process/serve.ts';

try {
  await serve(readConfig(process.env), process.env);
} catch (error) {
  process.stderr.write(`metrology-server cannot start.\n${explainFailure(error)}\n`);
  process.exit(1);
}
