/** The file that lists organizations, users, keys and projects: it is read, and checked as a whole. */
import { readFileSync, statSync } from 'node:fs';
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { Value, type ValueError, ValueErrorType } from '@sinclair/typebox/value';
import { type Document, isNode, LineCounter, parseDocument } from 'yaml';
import { type Scope, scopes } from '../auth/identity.ts';
import { keyFault } from '../auth/keys.ts';
import { nameOf } from '../auth/people.ts';
import { parseDateTime } from '../lib/date-time.ts';
import { type RetentionLimits, retentionLimits } from '../retention/limits.ts';
import { parseRules, RulesError } from '../retention/rules.ts';
import { type ProvisioningLimits, provisioningLimits } from './limits.ts';

export interface WantedKey {
  user: string;
  scopes: Scope[];
  /** The environment variable that holds the key. All messages name the key by it. */
  variable: string;
  key: string;
  /** In ISO 8601. Without it, an existing key keeps its end, and a new key has none. */
  expiresAt?: string;
}

export interface WantedOrganization {
  name: string;
  users: string[];
  keys: WantedKey[];
  projects: string[];
}

/** Everything that is wrong with the file: one sentence for each problem, with its line. */
export class ProvisioningError extends Error {}

type Environment = Record<string, string | undefined>;

// Descriptions become part of errors, after "must be".
const name = Type.String({ description: 'a name' });
const names = Type.Array(name, { default: [], description: 'a list of names' });
const mapping = { additionalProperties: false };
const key = Type.Object(
  {
    user: Type.String({ description: 'the name of a user' }),
    scopes: Type.Array(Type.Union(scopes.map((scope) => Type.Literal(scope))), {
      minItems: 1,
      description: `a list of ${scopes.join(', ')}`,
    }),
    key: Type.String({ description: `a variable of the environment such as "\${LAB_KEY}"` }),
    expires_at: Type.Optional(Type.String({ description: 'a time such as 2027-01-31 or 2027-01-31T12:00:00Z' })),
  },
  { ...mapping, description: 'a mapping of user, scopes, key and expires_at' },
);
const organization = Type.Object(
  {
    name,
    users: names,
    keys: Type.Array(key, { default: [], description: 'a list of mappings of user, scopes, key and expires_at' }),
    projects: names,
  },
  { ...mapping, description: 'a mapping of name, users, keys and projects' },
);
const FileSchema = Type.Object(
  {
    organizations: Type.Array(organization, { default: [], description: 'a list of organizations' }),
    retention: Type.Optional(Type.Array(Type.Unknown(), { description: 'a list of rules' })),
  },
  { ...mapping, description: 'a mapping of organizations and retention' },
);

/**
 * Reads a YAML or JSON file. Secrets come from the environment. The file may also contain retention rules: they are
 * checked here, and applied elsewhere.
 * @throws ProvisioningError
 */
export function readProvisioning(
  path: string,
  environment: Environment,
  limits: ProvisioningLimits = provisioningLimits,
): WantedOrganization[] {
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > limits.fileBytesMax)
      throw new Error(`it has ${size} bytes, and at most ${limits.fileBytesMax} are read (fileBytesMax)`);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ProvisioningError(`${path}: ${(error as Error).message}`);
  }
  return parseProvisioning(text, path, environment, limits);
}

/** @param path how errors name the file */
export function parseProvisioning(
  text: string,
  path: string,
  environment: Environment,
  limits: ProvisioningLimits,
  ruleLimits: RetentionLimits = retentionLimits,
): WantedOrganization[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems: string[] = [];
  const [broken] = document.errors;
  const lineAt = (offset: number) => lines.linePos(offset).line;
  if (broken !== undefined) {
    const line = lineAt(broken.pos[0]);
    throw new ProvisioningError(`${path}:${line}: ${broken.message}${quotesHint(text.split('\n')[line - 1] ?? '')}`);
  }
  const complain: Complain = (place, problem) =>
    problems.push(`${path}:${lineAt(offsetOf(document, place))}: ${shownPlace(place)}${problem}`);
  const organizations = organizationsOf(document, complain, environment, limits);
  if (document.has('retention')) problems.push(...faultsOfRules(text, path, ruleLimits));
  if (problems.length > 0) throw new ProvisioningError([...new Set(problems)].join('\n'));
  return organizations;
}

type Place = (string | number)[];
type Complain = (place: Place, problem: string) => void;

/** Inside `{ … }`, YAML takes the brace of a variable for one of its own. */
const quotesHint = (line: string) =>
  /[{,].*:\s*\$\{/.test(line) ? `; between braces a variable needs quotes: "\${NAME}"` : '';

function faultsOfRules(text: string, path: string, limits: RetentionLimits): string[] {
  try {
    parseRules(text, path, limits);
    return [];
  } catch (error) {
    if (error instanceof RulesError) return error.message.split('\n');
    throw error;
  }
}

function organizationsOf(
  document: Document.Parsed,
  complain: Complain,
  environment: Environment,
  { entriesMax }: ProvisioningLimits,
): WantedOrganization[] {
  // An empty file asks for nothing.
  const content = document.toJS() ?? {};
  const faults = [...Value.Errors(FileSchema, Value.Default(FileSchema, content))];
  if (faults.length > 0) {
    const seen = new Set<string>();
    for (const fault of faults) {
      if (!seen.has(fault.path)) complain(placeOf(fault.path), sentenceOf(fault));
      seen.add(fault.path);
    }
    return [];
  }
  const { organizations } = Value.Default(FileSchema, content) as Static<typeof FileSchema>;
  const count = organizations.reduce((sum, { users, keys, projects }) => {
    return sum + 1 + users.length + keys.length + projects.length;
  }, 0);
  if (count > entriesMax) {
    complain(['organizations'], ` has ${count} entries, and at most ${entriesMax} are taken (entriesMax)`);
    return [];
  }
  const keysBefore = new Map<string, string>();
  return organizations.map((one, i) => {
    const at = ['organizations', i];
    const nameAt = (place: Place, text: string) => checkedName(place, text, complain);
    const users = one.users.map((user, j) => nameAt([...at, 'users', j], user));
    return {
      name: nameAt([...at, 'name'], one.name),
      users,
      keys: one.keys.map((wanted, j) => {
        const place = [...at, 'keys', j];
        if (!users.includes(wanted.user.trim()))
          complain([...place, 'user'], ` "${wanted.user}" is none of the users of this organization in the file`);
        return keyOf(wanted, place, { complain, environment, keysBefore });
      }),
      projects: one.projects.map((project, j) => nameAt([...at, 'projects', j], project)),
    };
  });
}

function checkedName(place: Place, text: string, complain: Complain): string {
  try {
    return nameOf(text);
  } catch (error) {
    complain(place, `: ${(error as Error).message}`);
    return text;
  }
}

const variablePattern = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/;

interface KeySurroundings {
  complain: Complain;
  environment: Environment;
  /** The keys of the file so far, with their places. */
  keysBefore: Map<string, string>;
}

/** No message shows a value: it may be a secret in the wrong place. */
function keyOf(
  { user, scopes: chosen, key: reference, expires_at }: Static<typeof key>,
  place: Place,
  { complain, environment, keysBefore }: KeySurroundings,
): WantedKey {
  const own = [...place, 'key'];
  const [, variable = ''] = variablePattern.exec(reference.trim()) ?? [];
  const secret = environment[variable]?.trim() ?? '';
  if (variable === '') complain(own, ` must be ${key.properties.key.description}; no key stands in the file itself`);
  else if (secret === '') complain(own, `: the variable ${variable} of the environment is not set`);
  else {
    const fault = keyFault(secret);
    const before = keysBefore.get(secret);
    if (fault !== undefined) complain(own, `: the value of ${variable} is no key. ${fault}`);
    if (before !== undefined) complain(own, `: ${variable} holds the same key as ${before}`);
    keysBefore.set(secret, shownPlace(own));
  }
  const expiresAt = expires_at === undefined ? undefined : parseDateTime(expires_at);
  if (expires_at !== undefined && expiresAt === undefined)
    complain([...place, 'expires_at'], ' must be a time such as 2027-01-31 or 2027-01-31T12:00:00Z');
  const ordered = scopes.filter((scope) => chosen.includes(scope));
  return { user: user.trim(), scopes: ordered, variable, key: secret, ...(expiresAt !== undefined && { expiresAt }) };
}

function sentenceOf({ type, schema, path }: ValueError): string {
  if (type === ValueErrorType.ObjectAdditionalProperties) return ` is not known; there are ${fieldsAbove(path)}`;
  if (type === ValueErrorType.ObjectRequiredProperty) return ' is missing';
  const what = type === ValueErrorType.Union ? `one of ${scopes.join(', ')}` : (schema as TSchema).description;
  return ` must be ${what}`;
}

/** The fields that are allowed beside the one at a path. */
function fieldsAbove(path: string): string {
  const place = placeOf(path);
  const of = place.includes('keys') ? key : place.length > 1 ? organization : FileSchema;
  return Object.keys(of.properties).join(', ');
}

const placeOf = (path: string): Place =>
  path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));

/** For example `organizations[0].keys[1].user`. */
const shownPlace = (place: Place) =>
  place.map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`)).join('') || 'the file';

/** The offset of a place in the text; for something missing, where it should be. */
function offsetOf(document: Document.Parsed, place: Place): number {
  for (let length = place.length; length > 0; length--) {
    const node = document.getIn(place.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}
