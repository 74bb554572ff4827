/** Stops it, and resolves when the piece under way is done; `catchUp` removes now what is due. */
export type Sweeping = (() => Promise<void>) & { catchUp(): void };

/**
 * Removes what is old, now and every so often, in pieces that hold up nobody. Several servers may do so on one database. What fails
 * is reported and tried again the next time.
 * @param piece removes some. @returns whether there may be more
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
