/** Ways into a pool that show the rows of one organization each (docs/decisions/0009-row-level-security.md). */
import type pg from 'pg';
import type { Connections } from './access.ts';
import { organizationSetting } from './roles.ts';
import type { Shares } from './shares.ts';

/**
 * Names the organization to the connections of a pool as it hands them out, which the policies of the tables look at. There
 * is no other way to these connections; one that has no organization yet fails where a policy asks for it. An organization
 * gets no more of them than `shares` give it.
 */
export function connectionsByOrganization(
  pool: Pick<pg.Pool, 'connect'>,
  shares: Shares,
): (organizationId: string) => Connections {
  const organizationOf = new WeakMap<pg.PoolClient, string>();

  async function connect(organizationId: string): Promise<pg.PoolClient> {
    const give = await shares.take(organizationId);
    let client: pg.PoolClient;
    try {
      client = await pool.connect();
    } catch (error) {
      give();
      throw error;
    }
    const release = client.release.bind(client);
    // The pool makes `release` anew whenever it hands the connection out.
    client.release = (error?: Error | boolean) => {
      release(error);
      give();
    };
    if (organizationOf.get(client) === organizationId) return client;
    organizationOf.delete(client);
    try {
      await client.query({ name: 'name_organization', text: nameOrganization, values: [organizationId] });
    } catch (error) {
      client.release(error as Error);
      throw error;
    }
    organizationOf.set(client, organizationId);
    return client;
  }

  return (organizationId) => ({
    connect: () => connect(organizationId),
    async query<Row extends pg.QueryResultRow>(statement: string | pg.QueryConfig, values?: unknown[]) {
      const client = await connect(organizationId);
      let failure: Error | undefined;
      try {
        return await client.query<Row>(statement as string, values);
      } catch (error) {
        failure = error as Error;
        throw error;
      } finally {
        client.release(failure);
      }
    },
  });
}

const nameOrganization = `select set_config('${organizationSetting}', $1::text, false)`;
