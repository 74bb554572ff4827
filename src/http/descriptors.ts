/** Connections that a process may always have, however low its limit of open files is. */
const connectionsMin = 16;

/**
 * The number of connections that leave the process so many of its file descriptors. Node raises its soft limit to the
 * hard one when it starts, so that limit counts. Returns 0, which means no bound, when there is no limit.
 */
export function connectionsFor(descriptorsKept: number): number {
  const limit = openFilesMax();
  return limit === undefined ? 0 : Math.max(connectionsMin, limit - descriptorsKept);
}

function openFilesMax(): number | undefined {
  const { excludeNetwork } = process.report as { excludeNetwork?: boolean };
  // Without this the report does DNS look-ups for the addresses that it lists.
  Object.assign(process.report, { excludeNetwork: true });
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } };
  Object.assign(process.report, { excludeNetwork });
  const soft = Number(userLimits?.open_files?.soft);
  return Number.isFinite(soft) ? soft : undefined;
}
