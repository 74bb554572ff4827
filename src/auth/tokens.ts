import { createHash, randomBytes } from 'node:crypto';
import { checksum, randomText } from './api-key.ts';

/**
 * The beginnings of tokens, by which a leaked one is recognised. A token stands for a key: in a session, or in a
 * sign-in link.
 */
const prefixes = { session: 'mss1_', link: 'msl1_' } as const;
type Kind = keyof typeof prefixes;

const secretLength = 43;
const ownForm = /^(ms[sl]1_[0-9A-Za-z]{43})_([0-9A-Za-z]{6})$/;

/** A new token with 256 random bits, such as `mss1_secret_checksum` in base 62. */
export function newToken(kind: Kind, chance: (length: number) => Buffer = randomBytes): string {
  const token = `${prefixes[kind]}${randomText(secretLength, chance)}`;
  return `${token}_${checksum(token)}`;
}

/** Whether a text can be a token of this kind. Any other text is refused without asking the database. */
export function isToken(kind: Kind, text: string): boolean {
  if (!text.startsWith(prefixes[kind])) return false;
  const [, token, sum] = ownForm.exec(text) ?? [];
  return token !== undefined && checksum(token) === sum;
}

/** The form in which a token is stored and looked up. */
export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}
