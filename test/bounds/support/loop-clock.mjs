/*
 * Loaded into the server before its own code (`node --import`). It writes down in the file LOOP_CLOCK how long its event loop did
 * not turn, whenever that was long. The time for which the main thread waited for a processor is the machine's, so it is left out:
 * parsers, PostgreSQL and the attackers share two of them with it. Node's own figure of this delay has both in it.
 */
import { openSync, readSync, writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const everyMs = 10;
const toldMsMin = 20;
const { LOOP_CLOCK: file } = process.env;
// Whoever holds the sockets serves nothing, and has no parent that it hears.
if (file !== undefined && isMainThread && process.connected) keepTime();

function keepTime() {
  // Opened once: rows take all descriptors.
  const told = openSync(file, 'a');
  const waitedMs = openWaits();
  const instant = () => ({ at: performance.now(), waitedMs: waitedMs() });
  let before = instant();
  // A clock that says nothing at all is told from a loop that always turned.
  writeSync(told, `${Date.now()} 0\n`);
  setInterval(() => {
    const now = instant();
    const ms = now.at - before.at - everyMs - (now.waitedMs - before.waitedMs);
    before = now;
    if (ms >= toldMsMin) writeSync(told, `${Date.now()} ${ms.toFixed(1)}\n`);
  }, everyMs).unref();
}

/** @returns what says for how many ms the main thread has waited for a processor, as Linux counts it; elsewhere 0 */
function openWaits() {
  try {
    const figures = openSync(`/proc/self/task/${process.pid}/schedstat`);
    const bytes = Buffer.alloc(100);
    return () => Number(bytes.toString('latin1', 0, readSync(figures, bytes, 0, 100, 0)).split(' ')[1]) / 1e6;
  } catch {
    return () => 0;
  }
}
