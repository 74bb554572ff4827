import { ConfigError, readConfig } from './config.ts';
import { serve } from './serve.ts';

try {
  await serve(readConfig(process.env));
} catch (error) {
  process.stderr.write(`metrology-server cannot start.\n${(error as Error).message}\n`);
  if (!(error instanceof ConfigError)) process.stderr.write(`${(error as Error).stack}\n`);
  process.exit(1);
}
