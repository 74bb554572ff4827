import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { build } from 'esbuild';

/*
 * Builds the page into `dist/page`: index.html, and files with the hash of their bytes in their names. Each script and
 * style sheet lies beside its gzip and Brotli form. At run time the page loads nothing else.
 */

const page = fileURLToPath(new URL('.', import.meta.url));
const out = fileURLToPath(new URL('../../dist/page', import.meta.url));
const recordFile = new URL('../../node_modules/vega-datasets/data/seattle-weather-hourly-normals.csv', import.meta.url);
const typesToCompress = /\.(js|css)$/;

const options = {
  absWorkingDir: page,
  bundle: true,
  minify: true,
  target: ['chrome111', 'firefox113', 'safari16.4'],
  outdir: out,
  metafile: true,
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  legalComments: 'none',
  logLevel: 'warning',
};

await rm(out, { recursive: true, force: true });
// The page starts the worker by its name, so the worker is built first.
const worker = await build({ ...options, format: 'iife', entryPoints: { worker: 'live/worker.ts' } });
const [workerFile] = filesOf(worker, /\.js$/);
const main = await build({
  ...options,
  format: 'esm',
  splitting: true,
  jsx: 'automatic',
  jsxImportSource: 'preact',
  entryPoints: { main: 'main.tsx', style: 'style.css' },
  define: { WORKER_FILE: JSON.stringify(workerFile) },
  plugins: [{ name: 'demo record', setup: serveRecord }],
});

const [script] = filesOf(main, /^main-.*\.js$/);
const [style] = filesOf(main, /^style-.*\.css$/);
const template = await readFile(new URL('index.html', import.meta.url), 'utf8');
await writeFile(`${out}/index.html`, template.replace('STYLE', `page/${style}`).replace('SCRIPT', `page/${script}`));
await Promise.all([...filesOf(worker, typesToCompress), ...filesOf(main, typesToCompress)].map(compress));

function filesOf({ metafile }, pattern) {
  return Object.keys(metafile.outputs)
    .map((path) => basename(path))
    .filter((name) => pattern.test(name));
}

async function compress(name) {
  const bytes = await readFile(`${out}/${name}`);
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  await Promise.all([
    writeFile(`${out}/${name}.gz`, await promisify(gzip)(bytes, { level: constants.Z_BEST_COMPRESSION })),
    writeFile(`${out}/${name}.br`, await promisify(brotliCompress)(bytes, quality)),
  ]);
}

/** Makes the record of the demo a module of its own, which a browser loads only when somebody starts the demo. */
function serveRecord(build) {
  build.onResolve({ filter: /^demo-record$/ }, () => ({ path: 'demo-record', namespace: 'record' }));
  build.onLoad({ filter: /.*/, namespace: 'record' }, async () => {
    const [head, ...lines] = (await readFile(recordFile, 'utf8')).trim().split('\n');
    const rows = lines.map((line) => line.trim().split(','));
    // The record has no offset from UTC; the demo takes its hours as UTC.
    const hours = rows.map(([hour]) => Date.parse(`${hour}Z`) / 3_600_000);
    const columns = head
      .trim()
      .split(',')
      .slice(1)
      .map((name, i) => [name, steps(rows.map((row) => Math.round(Number(row[i + 1]) * 10)))]);
    const contents = `export const hours = ${JSON.stringify(steps(hours))};
export const tenths = ${JSON.stringify(Object.fromEntries(columns))};`;
    return { contents, loader: 'js' };
  });
}

/** The difference of each number from the one before it: small whole numbers, which compress well. */
function steps(numbers) {
  return numbers.map((number, i) => number - (numbers[i - 1] ?? 0));
}
