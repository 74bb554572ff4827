import { createProgress, type Output } from '../demo/progress.ts';

/**
 * A progress bar whose total comes with the first call and is an estimate. It is never drawn as full, since the work
 * may prove to be more.
 * @param describe the text beside the bar
 */
export function progressTo(
  output: Output,
  describe: (done: number, total: number) => string,
): (done: number, total: number) => void {
  let show: ((done: number) => void) | undefined;
  let whole = 0;
  return (done, total) => {
    if (show === undefined) {
      whole = total;
      show = createProgress(output, whole, (count) => describe(count, whole));
    }
    if (done < whole) show(done);
  };
}

export const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
