/*
 * Writes into dist/build.json of which commit this build is, so that nothing has to look for it at run time:
 * - BUILD_COMMIT where it is set: an image is built from files alone (Dockerfile), and so is a tarball of the sources;
 * - otherwise what Git says, with `-dirty` behind it where files of the commit have been changed;
 * - otherwise `unknown`, as in a folder that only lies in the checkout of another project.
 */
import { execFileSync } from 'node:child_process';
import { realpathSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const project = realpathSync(fileURLToPath(new URL('.', import.meta.url)));

function commitOfCheckout() {
  try {
    if (realpathSync(git('rev-parse', '--show-toplevel')) !== project) return undefined;
    const isChanged = git('status', '--porcelain', '--untracked-files=no') !== '';
    return `${git('rev-parse', 'HEAD')}${isChanged ? '-dirty' : ''}`;
  } catch {
    return undefined;
  }
}

function git(...args) {
  // Git tells the hooks and commands that it runs where it works itself; that may be another project.
  const { GIT_DIR: _, GIT_WORK_TREE: __, GIT_INDEX_FILE: ___, ...env } = process.env;
  return execFileSync('git', args, { cwd: project, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

const given = process.env.BUILD_COMMIT || undefined;
if (given !== undefined && !/^[\w.-]{1,64}$/.test(given)) {
  console.error('BUILD_COMMIT has to be the name of a commit: 1 to 64 letters, digits, dots, dashes and underscores.');
  process.exit(1);
}
const commit = given ?? commitOfCheckout() ?? 'unknown';
writeFileSync(new URL('dist/build.json', import.meta.url), `${JSON.stringify({ commit })}\n`);
