import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Debian's package; another place is said by CHROMIUM. */
export const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const page = fileURLToPath(new URL('../../../dist/page/index.html', import.meta.url));

/** Nothing here is skipped: a machine without a browser cannot say that the page works. */
export function setup(): void {
  require(chromiumPath, constants.X_OK, 'The tests of the page need Chromium: apt-get install chromium, or set CHROMIUM.');
  require(page, constants.R_OK, 'The tests of the page need the page: npm run build');
}

function require(path: string, mode: number, sentence: string): void {
  try {
    accessSync(path, mode);
  } catch {
    throw new Error(`${sentence} (${path} is not there)`);
  }
}
