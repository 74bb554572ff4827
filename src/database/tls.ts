/** Whether a connection to PostgreSQL uses TLS, and whom it trusts: as libpq reads `sslmode` and related parameters. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import { type Address, AddressError, type Host } from '../lib/postgres-address.ts';

/** For `pg`: no TLS, or TLS with these options. */
export type Tls = false | ConnectionOptions;

/**
 * The ways in which a connection to this place is tried, one after the other.
 * @throws AddressError when a file that the address names cannot be read
 */
export function tlsOf(address: Address, place: Host): Tls[] {
  if (place.host.startsWith('/')) return [false];
  switch (modeOf(address, place)) {
    case 'disable':
      return [false];
    case 'allow':
      return [false, unverified(address)];
    case 'prefer':
      return [unverified(address), false];
    case 'no-verify':
      return [unverified(address)];
    case 'require':
      // With a root certificate, libpq checks also here that it has signed the certificate of the server.
      return [rootFile(address) === undefined ? unverified(address) : verified(address, () => undefined)];
    case 'verify-ca':
      return [verified(address, () => undefined)];
    default:
      return [verified(address, (_, certificate) => checkServerIdentity(place.name, certificate))];
  }
}

/**
 * The default without `sslmode`. psql prefers TLS, without verifying the server. On this machine TLS protects nothing
 * and costs time, so there it is used only if PostgreSQL asks for it.
 */
function modeOf(address: Address, { host }: Host): string {
  if (address.sslmode !== undefined) return address.sslmode;
  if (address.sslrootcert === 'system') return 'verify-full';
  if (address.sslnegotiation === 'direct') return 'require';
  return isThisMachine(host) ? 'allow' : 'prefer';
}

export const isThisMachine = (host: string) => /^(localhost|127\.\d+\.\d+\.\d+|::1|\[::1\])$/.test(host);

const unverified = (address: Address): ConnectionOptions => ({ ...ownCertificate(address), rejectUnauthorized: false });

function verified(
  address: Address,
  identify: NonNullable<ConnectionOptions['checkServerIdentity']>,
): ConnectionOptions {
  const file = rootFile(address);
  const ca = file === undefined ? {} : { ca: read('sslrootcert', file) };
  return { ...ownCertificate(address), ...ca, rejectUnauthorized: true, checkServerIdentity: identify };
}

/** Undefined: trust the certificate authorities that Node knows. */
function rootFile({ sslrootcert }: Address): string | undefined {
  if (sslrootcert === 'system') return undefined;
  return sslrootcert ?? usual('root.crt');
}

function ownCertificate({ sslcert, sslkey, sslpassword }: Address): ConnectionOptions {
  const certificate = sslcert ?? usual('postgresql.crt');
  const key = sslkey ?? usual('postgresql.key');
  if (certificate === undefined || key === undefined) return {};
  const passphrase = sslpassword === undefined ? {} : { passphrase: sslpassword };
  return { cert: read('sslcert', certificate), key: read('sslkey', key), ...passphrase };
}

/** Where libpq looks for a file that the address does not name. */
function usual(name: string): string | undefined {
  const path = join(homedir(), '.postgresql', name);
  return existsSync(path) ? path : undefined;
}

function read(parameter: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new AddressError(`its "${parameter}" cannot be read (${(error as Error).message})`);
  }
}
