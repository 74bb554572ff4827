/* The checks on this machine and of the server itself. */
import { listBackups } from '../backups/folder.ts';
import { type Check, fault, ok, unknown, warning } from './findings.ts';
import { readGrowth } from './store.ts';

const inGiB = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;

export const settings: Check = async ({
  settings: { DISK_WARN_BYTES, DISK_REFUSE_BYTES, METRICS_OPEN, PUBLIC_URL },
}) => {
  if (DISK_REFUSE_BYTES > 0 && DISK_WARN_BYTES < DISK_REFUSE_BYTES) {
    const says = 'DISK_WARN_BYTES is smaller than DISK_REFUSE_BYTES: new streams are refused before anybody is warned.';
    return warning(says, 'Let it be several times as much.');
  }
  if (METRICS_OPEN && PUBLIC_URL !== undefined) {
    return warning(
      'METRICS_OPEN is on behind a proxy (PUBLIC_URL is set): whoever comes through one that passes TCP on reads /metrics.',
      'Set METRICS_OPEN=false and give Prometheus a key with the scope admin.',
    );
  }
  return ok('All are valid.');
};

export const disk: Check = async ({
  diskFolder,
  roomOf,
  service,
  settings: { DISK_WARN_BYTES, DISK_REFUSE_BYTES },
  limits,
}) => {
  const { bytes, share } = await readGrowth(service, limits.growthDays);
  const perDay = (bytes * share) / limits.growthDays;
  const size = `The database has ${inGiB(bytes)} and grew by ${inGiB(perDay)} a day in the last ${limits.growthDays} days`;
  const folder = diskFolder();
  if (folder === undefined) return unknown(`${size}. The room on its disk is not known.`, 'Set DATABASE_DISK_DIR.');
  const { free } = await roomOf(folder);
  const days = perDay > 0 ? free / perDay : Number.POSITIVE_INFINITY;
  const left = `${inGiB(free)} are free${days < 3_650 ? `, enough for ${Math.floor(days)} days at this pace` : ''}`;
  const advice = 'Make room or move the database to a larger disk: docs/operations.md#the-disk.';
  if (free < DISK_REFUSE_BYTES) return fault(`${size}. Only ${left}: no new stream is opened.`, advice);
  if (days < limits.daysLeftFault) return fault(`${size}. Only ${left}.`, advice);
  if (free < DISK_WARN_BYTES || days < limits.daysLeftWarn) return warning(`${size}. ${left}.`, advice);
  return ok(`${size}. ${left}.`);
};

export const backup: Check = async ({ backup: { folder, everyHours }, now, limits }) => {
  if (folder === undefined) {
    return unknown('BACKUP_DIR is unset: nothing is known of backups.', 'See docs/operations.md#backup.');
  }
  const kept = await listBackups(folder);
  const [newest] = kept;
  if (newest === undefined) {
    return fault(`There is no backup in ${folder}.`, 'See the log of the server, and whether it runs.');
  }
  const hours = (now() - newest.at) / 3_600_000;
  const says = `The newest of ${kept.length} backups in ${folder} is ${hours.toFixed(1)} hours old`;
  if (hours <= everyHours * limits.backupLateTimes) return ok(`${says}.`);
  return fault(`${says}, and BACKUP_EVERY_HOURS is ${everyHours}.`, 'See the log of the server why none was made.');
};

/** Requests the server as a client would, through the proxy before it. */
export const proxy: Check = async ({ settings: { PUBLIC_URL }, fetch, limits }) => {
  if (PUBLIC_URL === undefined) return unknown('PUBLIC_URL is unset: the way through a proxy was not tried.');
  const ask = (path: string) => {
    const signal = AbortSignal.timeout(limits.proxyMsMax);
    return fetch(`${PUBLIC_URL.replace(/\/$/, '')}${path}`, { redirect: 'manual', signal });
  };
  const advice = 'See docs/operations.md#behind-a-proxy.';
  try {
    const health = await ask('/healthz');
    if (health.status >= 300 && health.status < 400) {
      return fault(`PUBLIC_URL redirects (${health.status}): a redirect turns a POST into a GET.`, advice);
    }
    const { status } = (await health.json().catch(() => ({}))) as { status?: string };
    if (!health.ok || status !== 'ok') return fault(`PUBLIC_URL leads to something else (${health.status}).`, advice);
    if ((await ask('/metrics')).ok) {
      const says = 'Whoever reaches PUBLIC_URL reads /metrics without a key.';
      return fault(says, 'Set METRICS_OPEN=false, or let the proxy set X-Forwarded-For.');
    }
    return ok('PUBLIC_URL leads to a server, without a redirect, and /metrics asks for a key there.');
  } catch (error) {
    const { message, cause } = error as Error;
    return warning(`PUBLIC_URL is not reached from here: ${(cause as Error | undefined)?.message || message}.`, advice);
  }
};
