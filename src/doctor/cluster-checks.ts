/* The checks of a cluster: each is left out where the tables are on one PostgreSQL. */
import { askNodes, findRefusedRole, listNodes, weakNodes } from '../database/cluster-nodes.ts';
import { isDistributed } from '../database/distribution.ts';
import { type Check, fault, list, ok, type Patient, type Result, warning } from './findings.ts';

const inCluster =
  (check: (patient: Patient) => Promise<Result>): Check =>
  async (patient) =>
    (await isDistributed(patient.service)) ? check(patient) : undefined;

export const nodes = inCluster(async ({ service, owner, limits }) => {
  const all = await listNodes(service);
  const idle = all.filter(({ isActive }) => !isActive).map(({ name }) => name);
  if (idle.length > 0)
    return fault(`Not in use: ${list(idle, limits)}.`, 'Run "select citus_activate_node(…)" once the node is back.');
  const versions = await askNodes(owner, `select extversion from pg_extension where extname = 'citus'`);
  const silent = versions.filter(({ problem }) => problem !== null).map(({ node }) => node);
  if (silent.length > 0)
    return fault(`No answer from ${list(silent, limits)}: the streams there are away.`, 'See docs/scale.md#nodes.');
  const refused = await findRefusedRole(owner);
  if (refused !== undefined)
    return fault(
      `The node ${refused.node} does not admit the role ${refused.role}.`,
      'See pg_hba.conf there and pg_dist_authinfo: docs/scale.md#between-the-nodes.',
    );
  const found = [...new Set(versions.map(({ text }) => text))];
  if (found.length > 1)
    return fault(
      `The nodes have different versions of Citus: ${found.join(', ')}.`,
      'Run "alter extension citus update".',
    );
  const workers = all.filter(({ isCoordinator, takesStreams }) => !isCoordinator && takesStreams).length;
  return ok(`The tables are distributed over ${workers} workers with Citus ${found[0]}; all answer.`);
});

export const nodeSettings = inCluster(async ({ owner, limits }) => {
  const weak = (await weakNodes(owner)).map(({ node, settings }) => `${node} (${settings})`);
  if (weak.length === 0)
    return ok('Every node keeps what it has committed, and takes part in transactions of several nodes.');
  return fault(
    `What was acknowledged can be lost on ${list(weak, limits)}.`,
    'Set fsync, full_page_writes and synchronous_commit to on, and max_prepared_transactions above max_connections.',
  );
});

/** Times of chunks come from the coordinator, those of their replacement from the nodes. */
export const nodeClocks = inCluster(async ({ owner, now, limits }) => {
  const before = now();
  const answers = await askNodes(owner, 'select extract(epoch from clock_timestamp()) * 1000');
  const after = now();
  const here = Number(answers.find(({ isCoordinator }) => isCoordinator)?.text);
  const apart = answers.filter(({ text }) => Math.abs(Number(text) - here) > limits.clockMsMax + after - before);
  if (apart.length === 0) return ok('The clocks of the nodes agree.');
  return warning(
    `The clocks of ${list(
      apart.map(({ node }) => node),
      limits,
    )} differ from that of the coordinator.`,
    'Let all follow NTP (chrony, systemd-timesyncd).',
  );
});

/** Transactions of several nodes that were prepared and have not ended: they hold locks, and keep vacuum from its work. */
export const nodeTransactions = inCluster(async ({ owner, limits }) => {
  const answers = await askNodes(
    owner,
    `select count(*) from pg_prepared_xacts where database = current_database() and prepared < clock_timestamp() - make_interval(secs => ${limits.transactionSecondsMax})`,
  );
  const left = answers.filter(({ text }) => text !== '0').map(({ node, text }) => `${node} (${text})`);
  if (left.length === 0) return ok('No transaction of several nodes was left unfinished.');
  return warning(
    `Left unfinished for more than ${limits.transactionSecondsMax} s on ${list(left, limits)}.`,
    'Run "select recover_prepared_transactions()" on the coordinator as a superuser, and see its log.',
  );
});
