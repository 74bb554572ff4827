import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { lockDataDir } from '../../src/database/embedded/lock.ts';
import { findDatabase } from '../../src/process/database-address.ts';

test('a command waits databaseWaitMsMax for a server that has taken the folder, says so once, and then names it', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'metrology-taken-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true }));
  const said: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void said.push(JSON.parse(line).msg) });
  // A server whose PostgreSQL does not come up: this process, which is alive.
  const lock = await lockDataDir(dataDir, log);
  onTestFinished(() => lock.release());
  const config = readConfig({ DATA_DIR: dataDir });
  const limits = { databaseWaitMsMax: 300, databasePauseMs: 20, welcomeWaitMs: 50 };
  const startedAt = performance.now();
  const failure = await findDatabase(config, log, { mayJoin: true, limits }).catch((error) => error);
  expect(failure.message).toMatch(
    new RegExp(`in use by a metrology-server with process id ${process.pid}: .*waited 300 ms .*databaseWaitMsMax`),
  );
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(300);
  expect(said).toEqual(['waiting for the PostgreSQL of the server that has taken DATA_DIR']);
  // Another server does not wait.
  await expect(findDatabase(config, log, { mayJoin: false, limits })).rejects.toThrow(/in use/);
});
