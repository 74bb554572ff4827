/*
 * Compiles the server and the benches into a temporary folder, laid out as in the package, and runs a bench there. Node 20
 * runs no TypeScript, and a build or an edit in the checkout must not change what is measured.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'metrology-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const compiler = join(project, 'node_modules/typescript/bin/tsc');
const built = spawnSync(process.execPath, [compiler, '-p', join(project, 'bench/tsconfig.json'), '--outDir', folder], {
  encoding: 'utf8',
});
if (built.status !== 0) {
  const lines = `${built.stdout}${built.stderr}`.split('\n');
  process.stderr.write(
    `Compiled in spite of type errors (npm run check shows all):\n${lines.slice(0, 5).join('\n')}\n`,
  );
}
for (const name of ['package.json', 'migrations', 'bench/load']) {
  cpSync(join(project, name), join(folder, name), { recursive: true });
}
symlinkSync(join(project, 'node_modules'), join(folder, 'node_modules'));

const args = process.argv.slice(2);
const scripts = {
  '--settings': 'settings.js',
  '--packing': 'packing.js',
  '--shares': 'shares.js',
  '--flood': 'flood.js',
  '--first-chunk': 'first-chunk.js',
  '--overviews': 'overviews.js',
  '--servers': 'servers.js',
  '--cluster': 'cluster.js',
  '--workers': 'workers.js',
};
const script = scripts[args[0]] ?? 'main.js';
const bench = spawn(process.execPath, [join(folder, 'bench', script), ...args], {
  stdio: 'inherit',
  env: { ...process.env, BENCH_PROJECT: project },
});
// A Ctrl-C reaches both processes. The bench stops its servers first, and the folder must exist until then.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => bench.kill(signal));
bench.on('exit', (code) => process.exit(code ?? 1));
