/**
 * Addresses of PostgreSQL in every form that psql and the driver pg accept: URLs with one or several hosts, Unix
 * sockets and `key=value` pairs. Parameters mean the same as for libpq (docs/operations.md#the-address-of-postgresql).
 */
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';

/** An address as libpq's keywords: `host`, `port`, `dbname`, `user`, `password`, `sslmode`, … Lists keep their commas. */
export type Address = Readonly<Record<string, string>>;

/** Says in one sentence what is wrong with an address. It never shows a value, since any may be secret. */
export class AddressError extends Error {
  readonly reason: string;
  constructor(reason: string) {
    super(`The address of the database is not valid: ${reason}.`);
    this.reason = reason;
  }
}

/** @throws AddressError */
export function readAddress(text: string): Address {
  const given = text.trim();
  const read = readForm(given);
  const address: Record<string, string> = {};
  for (const [written, value] of Object.entries(read)) {
    const name = aliases[written] ?? written;
    if (!used.has(name) && !withoutEffect.has(name)) {
      throw new AddressError(`it has a parameter "${shown(name)}", which is none of an address of PostgreSQL`);
    }
    if (value.includes('\0')) throw new AddressError(`its "${name}" contains a character that no PostgreSQL takes`);
    if (used.has(name) && value !== '') address[name] = value;
  }
  if (read.ssl !== undefined && address.sslmode === undefined) {
    const mode = sslModes[read.ssl];
    if (mode === undefined) throw new AddressError('its "ssl" is none of true, false and no-verify');
    address.sslmode = mode;
  }
  check(address);
  return address;
}

/** The address as a URL that psql, libpq and pg take. */
export function urlOf(address: Address): string {
  const { user = '', password, host = '', port = '', dbname = '', ...others } = address;
  const hosts = host.split(',');
  const ports = port.split(',');
  // In the place of a host a path must be written with %2F. As a parameter it stays readable.
  const isPath = hosts.some((one) => one.startsWith('/'));
  const authority = isPath
    ? ''
    : hosts.map((one, i) => bracketed(one) + portSuffix(ports.length === 1 ? ports[0] : ports[i])).join(',');
  const parameters = Object.entries(isPath ? { host, port, ...others } : others)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll('%2F', '/').replaceAll('%2C', ',')}`);
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
  const login = user === '' && secret === '' ? '' : `${encodeURIComponent(user)}${secret}@`;
  const query = parameters.length === 0 ? '' : `?${parameters.join('&')}`;
  return `postgresql://${login}${authority}/${encodeURIComponent(dbname)}${query}`;
}

/**
 * Completes an address: parameters that it lacks come from the environment variables of libpq, such as PGHOST.
 * @throws AddressError
 */
export function completeAddress(text: string, environment: Record<string, string | undefined>): string {
  const address = readAddress(text);
  const hasPlace = address.host !== undefined || address.hostaddr !== undefined;
  const added = Object.entries(variables)
    .filter(([name]) => address[name] === undefined && !(hasPlace && (name === 'host' || name === 'hostaddr')))
    .flatMap(([name, variable]) => (environment[variable] ? [[name, environment[variable]]] : []));
  if (added.length === 0) return text;
  return urlOf(readAddress(urlOf({ ...address, ...Object.fromEntries(added) })));
}

const variables: Record<string, string> = {
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  options: 'PGOPTIONS',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
};

/** The same place under another login. */
export function withLogin(connectionString: string, user: string, password: string): string {
  return urlOf({ ...readAddress(connectionString), user, password });
}

/** The role that logs in: that of the address, else the system user of this process. */
export function loginName(address: Address): string {
  return address.user ?? userInfo().username;
}

/** The address for people: host and database, no secret. */
export function shownAddressOf(connectionString: string): string {
  const { host = '', port = '', dbname = '' } = readAddress(connectionString);
  return urlOf({ host, port, dbname });
}

/** One place where a connection may lead. */
export interface Host {
  /** A name, an IP address, or a folder of Unix sockets. */
  host: string;
  port: number;
  /** The name that the server's certificate must contain. It differs from `host` when the address has a `hostaddr`. */
  name: string;
}

/**
 * The hosts of an address in their order. An address without a host means the one that psql would use on this machine.
 */
export function hostsOf(address: Address): Host[] {
  const ports = (address.port ?? '5432').split(',');
  const names = (address.host ?? '').split(',');
  const places = address.hostaddr?.split(',') ?? names;
  return places.map((place, i) => {
    const port = Number((ports.length === 1 ? ports[0] : ports[i]) || 5432);
    const host = place || names[i] || hostOfThisMachine(port);
    return { host, port, name: names[i] || host };
  });
}

/** psql uses the socket folder that it was built with, pg uses localhost: so try the usual folders, then localhost. */
function hostOfThisMachine(port: number): string {
  return ['/var/run/postgresql', '/tmp'].find((folder) => existsSync(`${folder}/.s.PGSQL.${port}`)) ?? 'localhost';
}

function readForm(text: string): Record<string, string> {
  const url = /^postgres(?:ql)?:\/\/(.*)$/is.exec(text);
  if (url) return readUrl(url[1] as string);
  const socket = /^socket:(?:\/\/)?(.*)$/is.exec(text);
  if (socket) return readSocketUrl(socket[1] as string);
  if (text.startsWith('/')) {
    const [host = '', dbname = ''] = text.split(/\s+/);
    return { host, dbname };
  }
  if (/^\s*\w+\s*=/.test(text)) return readPairs(text);
  throw new AddressError('it begins with none of postgresql://, postgres:// and a parameter such as host=');
}

/** `user:password@host:port,host:port/database?name=value&…`. The password may contain @, ? or # without an escape. */
function readUrl(text: string): Record<string, string> {
  const slash = text.indexOf('/');
  const at = text.lastIndexOf('@', slash === -1 ? text.length : slash);
  const login = at === -1 ? [] : splitOnce(text.slice(0, at), ':');
  const [, authority = '', path = '', query = ''] =
    /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(text.slice(at + 1)) ?? [];
  const places = authority === '' ? [] : authority.split(',').map(readPlace);
  const [user, password] = login.map(decode);
  return {
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(places.some(({ host }) => host) && { host: places.map(({ host }) => host).join(',') }),
    ...(places.some(({ port }) => port) && { port: places.map(({ port }) => port).join(',') }),
    ...(path !== '' && { dbname: decode(path) }),
    ...readParameters(query),
  };
}

/** pg's own form: `socket://user:password@/folder?db=name`. */
function readSocketUrl(text: string): Record<string, string> {
  const [, login, path = '', query = ''] = /^(?:([^/]*)@)?([^?]*)(?:\?(.*))?$/s.exec(text) ?? [];
  const [user, password] = login === undefined ? [] : splitOnce(login, ':').map(decode);
  const { db, ...parameters } = readParameters(query);
  return {
    host: decode(path).replace(/(?<=.)\/$/, ''),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(db !== undefined && { dbname: db }),
    ...parameters,
  };
}

function readPlace(text: string): { host: string; port: string } {
  const [, six, name = '', port = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/s.exec(text) ?? [];
  return { host: six ?? decode(name), port };
}

function readParameters(query: string): Record<string, string> {
  const pairs = query.split('&').filter((pair) => pair !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name, value = ''] = splitOnce(pair, '=').map(decode) as [string, string?];
      // pg reads + as a blank everywhere, libpq nowhere. Only in `options` can it mean nothing else.
      return [name, name === 'options' ? value.replaceAll('+', ' ') : value];
    }),
  );
}

/** `name = value` pairs. A value in single quotes may contain blanks; \ escapes a quote or another \. */
function readPairs(text: string): Record<string, string> {
  const pair = /\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/sy;
  const read: Record<string, string> = {};
  while (pair.lastIndex < text.length) {
    const [, name, quoted, bare = ''] = pair.exec(text) ?? [];
    if (name === undefined) throw new AddressError('it is no list of parameters such as host=db.lab dbname=metrology');
    read[name] = (quoted ?? bare).replace(/\\(.)/gs, '$1');
  }
  return read;
}

/** Decodes %XX. A % without two hex digits, or bytes that are not UTF-8, stay as they are written, as pg does it. */
function decode(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (signs) => {
    try {
      return decodeURIComponent(signs);
    } catch {
      return signs;
    }
  });
}

function check(address: Address): void {
  const ports = address.port === undefined ? [] : address.port.split(',');
  const hosts = (address.hostaddr ?? address.host ?? '').split(',').length;
  if (ports.length > 1 && ports.length !== hosts) {
    throw new AddressError(`it names ${hosts} hosts and ${ports.length} ports`);
  }
  if (ports.some((port) => port !== '' && !(/^\d{1,5}$/.test(port) && Number(port) > 0 && Number(port) < 65_536))) {
    throw new AddressError('its port is no whole number from 1 to 65535');
  }
  for (const [name, allowed] of Object.entries(choices)) {
    const value = address[name];
    if (value !== undefined && !allowed.includes(value)) {
      throw new AddressError(`its "${name}" is none of ${allowed.join(', ')}`);
    }
  }
  if (address.connect_timeout !== undefined && !/^-?\d{1,6}$/.test(address.connect_timeout)) {
    throw new AddressError('its "connect_timeout" is no whole number of seconds');
  }
}

function splitOnce(text: string, sign: string): string[] {
  const at = text.indexOf(sign);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : encodeURIComponent(host));
const portSuffix = (port: string | undefined) => (port ? `:${port}` : '');
const shown = (name: string) => name.replaceAll(/[^\w.-]/g, '?').slice(0, 40);

/** Other names that pg accepts for a parameter. */
const aliases: Record<string, string> = { database: 'dbname' };

const used = new Set(
  (
    'user password host hostaddr port dbname options application_name connect_timeout target_session_attrs passfile ' +
    'sslmode sslrootcert sslcert sslkey sslpassword sslnegotiation channel_binding'
  ).split(' '),
);

/**
 * Parameters of libpq or pg that are accepted and ignored: the driver has no such feature, or the server sets its own
 * value.
 */
const withoutEffect = new Set(
  (
    'ssl uselibpqcompat client_encoding encoding gssencmode krbsrvname gsslib gssdelegation sslcompression sslsni ' +
    'keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout load_balance_hosts ' +
    'ssl_min_protocol_version ssl_max_protocol_version statement_timeout query_timeout ' +
    'idle_in_transaction_session_timeout keepAlive fallback_application_name'
  ).split(' '),
);

const sslModes: Record<string, string> = {
  true: 'require',
  1: 'require',
  false: 'disable',
  0: 'disable',
  'no-verify': 'no-verify',
};

const choices: Record<string, readonly string[]> = {
  sslmode: ['disable', 'allow', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full'],
  sslnegotiation: ['postgres', 'direct'],
  target_session_attrs: ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'],
  // `require` is left out: the driver cannot enforce it.
  channel_binding: ['disable', 'prefer'],
};
