/** Connections that a process can always serve, however little it may open. */
const connectionsMin = 16;

/**
 * How many connections leave the process so many files to open, by the limit that it has; Node raises its soft limit to the
 * hard one when it starts. 0, which is no bound, where there is no limit.
 */
export function connectionsFor(descriptorsKept: number): number {
  const limit = openFilesMax();
  return limit === undefined ? 0 : Math.max(connectionsMin, limit - descriptorsKept);
}

function openFilesMax(): number | undefined {
  const { excludeNetwork } = process.report as { excludeNetwork?: boolean };
  // Without this the report looks up names of the addresses that it lists.
  Object.assign(process.report, { excludeNetwork: true });
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } };
  Object.assign(process.report, { excludeNetwork });
  const soft = Number(userLimits?.open_files?.soft);
  return Number.isFinite(soft) ? soft : undefined;
}
