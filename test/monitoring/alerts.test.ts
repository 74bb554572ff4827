import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

const promtool = (...args: string[]) => spawnSync('promtool', args, { cwd: 'deploy/monitoring', encoding: 'utf8' });

const isInstalled = promtool('--version').error === undefined;
test.runIf(isInstalled)(
  'each alert fires where it has to, and not where it must not (promtool is installed)',
  { timeout: 60_000 },
  () => {
    for (const args of [
      ['check', 'rules', 'alerts.yml'],
      ['test', 'rules', 'alerts.test.yml'],
    ]) {
      const { status, stdout, stderr } = promtool(...args);
      expect({ status, said: `${stdout}${stderr}` }).toMatchObject({ status: 0 });
    }
  },
);
