// node test/upgrade/record.mjs OUTPUT.sql.gz ADMIN_URL FOLDER…: lets one or several builds, each in its folder with a compiled
// `dist`, write into a new database one after the other, and dumps what they leave. Run it for each release, with the release
// itself as FOLDER, and add the file to test/upgrade/databases; ADMIN_URL is that of a superuser of a PostgreSQL 15, so that
// every later one takes the dump.
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { write } from './support/content.mjs';

const [output, adminUrl, ...folders] = process.argv.slice(2);
const key = 'a-key-of-an-earlier-build';
const name = `recorded_${randomUUID().slice(0, 8)}`;
const dataDir = mkdtempSync(join(tmpdir(), 'metrology-record-'));
const psql = (statement) => execFileSync('psql', [adminUrl, '-Xqc', statement]);

psql(`create database ${name}`);
try {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  for (const [i, folder] of folders.entries()) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const settings = { DATABASE_URL: url.href, PORT: String(port), BOOTSTRAP_API_KEY: key, DATA_DIR: dataDir };
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, LOG_LEVEL: 'warn', ...settings };
    const child = spawn(process.execPath, [join(folder, 'dist/main.js')], {
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const endpoint = `http://127.0.0.1:${port}`;
    for (let left = 400; ; left--) {
      const health = await fetch(`${endpoint}/readyz`).catch(() => undefined);
      if (health?.ok) break;
      if (left === 0 || child.exitCode !== null) throw new Error(`${folder} does not start`);
      await sleep(50);
    }
    await write(endpoint, key, `build ${i}`);
    // The use of the key is noted beside the requests.
    await sleep(500);
    child.kill('SIGTERM');
    await ended;
  }
  // Statements only, so that a driver can run them: no COPY, no commands of psql.
  const dump = execFileSync('pg_dump', [url.href, '--no-owner', '--inserts'], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  writeFileSync(output, gzipSync(dump.replaceAll(/^\\.*\n/gm, ''), { level: 9 }));
} finally {
  psql(`drop database ${name} with (force)`);
  rmSync(dataDir, { recursive: true });
}
