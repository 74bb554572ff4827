import { createHash, randomBytes } from 'node:crypto';
import { checksum, randomText } from './api-key.ts';

/** What a secret that stands for a key begins with, so that a leaked one is recognised: of a session, and of a link that signs in. */
const prefixes = { session: 'mss1_', link: 'msl1_' } as const;
type Kind = keyof typeof prefixes;

const secretLength = 43;
const ownForm = /^(ms[sl]1_[0-9A-Za-z]{43})_([0-9A-Za-z]{6})$/;

/** A new secret of 256 bits of chance, `mss1_secret_checksum` in base 62. */
export function newToken(kind: Kind, chance: (length: number) => Buffer = randomBytes): string {
  const token = `${prefixes[kind]}${randomText(secretLength, chance)}`;
  return `${token}_${checksum(token)}`;
}

/** Whether a text can be such a secret; what cannot is refused without the database. */
export function isToken(kind: Kind, text: string): boolean {
  if (!text.startsWith(prefixes[kind])) return false;
  const [, token, sum] = ownForm.exec(text) ?? [];
  return token !== undefined && checksum(token) === sum;
}

/** How it rests in the database, and is looked up there. */
export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}
