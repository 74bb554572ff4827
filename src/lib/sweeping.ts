/**
 * Stops the sweeping, and resolves when the current piece is done. `catchUp` sweeps now, without waiting for the
 * interval.
 */
export type Sweeping = (() => Promise<void>) & { catchUp(): void };

/**
 * Removes old rows, now and after every interval, in pieces so small that they block nobody. Several servers may do so
 * on one database. A failure is reported and tried again at the next interval.
 * @param piece removes a bounded number of rows and returns whether there may be more
 */
export function sweepFromTimeToTime(
  piece: () => Promise<boolean>,
  everyMs: number,
  report: (error: Error) => void,
): Sweeping {
  let stopped = false;
  let sweeping = Promise.resolve();
  const sweep = async () => {
    while (!stopped && (await piece()));
  };
  const begin = () => {
    sweeping = sweeping.then(sweep).catch(report);
  };
  const timer = setInterval(begin, everyMs);
  timer.unref();
  begin();
  const stop = () => {
    stopped = true;
    clearInterval(timer);
    return sweeping;
  };
  return Object.assign(stop, { catchUp: begin });
}
