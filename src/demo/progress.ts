/** Where the demo writes: standard output, or a replacement in a test. */
export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

const redrawMs = 50;

/**
 * Shows how much of `total` is done: on a terminal in one line that is redrawn, elsewhere in a new line for every quarter.
 * Call the result with the amount done so far, and at the end with the total.
 * @param describe gives the text beside the bar
 */
export function createProgress(output: Output, total: number, describe: (done: number) => string) {
  let drawnAt = Number.NEGATIVE_INFINITY;
  let quartersShown = 0;
  return (done: number): void => {
    const isEnd = done === total;
    if (output.isTTY) {
      if (!isEnd && performance.now() - drawnAt < redrawMs) return;
      drawnAt = performance.now();
      const line = `${bar(done / total, output.columns ?? 80)} ${describe(done)}`.slice(0, (output.columns ?? 80) - 1);
      output.write(`\r\u001b[K${line}${isEnd ? '\n' : ''}`);
    } else if (Math.floor((done / total) * 4) > quartersShown) {
      quartersShown = Math.floor((done / total) * 4);
      output.write(`${percent(done / total)} ${describe(done)}\n`);
    }
  };
}

function bar(share: number, columns: number): string {
  const width = Math.max(5, Math.min(40, columns - 50));
  const full = Math.floor(share * width);
  return `${'█'.repeat(full)}${'░'.repeat(width - full)} ${percent(share)}`;
}

const percent = (share: number) => `${Math.floor(share * 100)} %`.padStart(5);
