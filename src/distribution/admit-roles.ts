/**
 * The server's roles on every node. The coordinator connects to the workers as the role that runs a statement, so both roles
 * log in there; policies hold for them as they do on the coordinator.
 */

import { askNodes, findRefusedRole, rolesOnNodes } from '../database/cluster-nodes.ts';
import type { OwnerDatabase } from '../database/database.ts';

/**
 * Makes the roles where they are missing and lets them log in, then connects to every node as each of them. It keeps their
 * passwords. It may be run again.
 * @throws Error with a sentence when a node does not admit them
 */
export async function admitRoles(owner: OwnerDatabase): Promise<void> {
  const failed = (await askNodes(owner.pool, makeRoles)).find(({ problem }) => problem !== null);
  if (failed !== undefined) throw new Error(`On the node ${failed.node} the roles cannot be made: ${failed.problem}.`);
  const refused = await findRefusedRole(owner.pool);
  if (refused === undefined) return;
  throw new Error(
    `The node ${refused.node} does not admit the role ${refused.role}, as which the coordinator connects to it: let pg_hba.conf of ` +
      `each node admit ${rolesOnNodes.join(' and ')} from the other nodes, and name their passwords in pg_dist_authinfo ` +
      '(docs/scale.md#between-the-nodes).',
  );
}

/** Each node for itself: roles that were made before the cluster was are not known to Citus. */
const makeRoles = `
  do $make$ begin
    set local citus.enable_ddl_propagation = off;
    ${rolesOnNodes
      .map(
        (role) => `
    if not exists (select from pg_roles where rolname = '${role}') then create role ${role} login;
    elsif not (select rolcanlogin from pg_roles where rolname = '${role}') then alter role ${role} login;
    end if;`,
      )
      .join('')}
  end $make$`;
