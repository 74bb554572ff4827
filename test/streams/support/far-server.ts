import { type Database, openDatabase } from '../../../src/database/database.ts';
import type { TcpProxy } from '../../http/support/tcp-proxy.ts';
import { loginOf } from '../../support/global-setup.ts';
import { joinTestServer, type TestConfig, type TestLimits, type TestServer } from '../../support/test-server.ts';

/**
 * One more server on the database of another one, with a network in between. Keys go around it: what becomes of them while
 * the database is away is for other tests.
 */
export function joinThrough(
  near: TestServer,
  network: TcpProxy,
  { config = {}, limits = {} }: { config?: TestConfig; limits?: TestLimits } = {},
): Promise<TestServer> {
  const bounds = { ingestConnectMsMax: 700, outageLookMsMax: 300 };
  const url = network.urlOf(loginOf(near.databaseUrl));
  const change = (own: Database): Database => {
    const far = openDatabase(url, { poolMax: 8, onIdleError: () => {}, limits: bounds });
    const close = async () => void (await Promise.all([far.close(), own.close()]));
    const { keys, upkeep } = own.everyOrganization;
    return { ...far, everyOrganization: { ...far.everyOrganization, keys, upkeep }, close };
  };
  return joinTestServer(near, config, change, limits);
}
