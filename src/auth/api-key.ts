import { createHash, randomBytes } from 'node:crypto';

/** What keys of this server begin with, so that a leaked one is recognised by people and by secret scanners. */
export const keyPrefix = 'msk_';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const secretLength = 43;
const hintLength = 10;

/** A new random key: the prefix and 43 base-62 characters, 256 bits of chance. */
export function newApiKey(): string {
  let secret = '';
  while (secret.length < secretLength) {
    for (const byte of randomBytes(secretLength)) {
      // Bytes from 248 on would make the first characters of the alphabet likelier than the rest.
      if (byte < 248 && secret.length < secretLength) secret += alphabet[byte % alphabet.length];
    }
  }
  return keyPrefix + secret;
}

/** How a key rests in the database. A key has at least 128 random bits, so a fast hash without salt is enough. */
export function hashApiKey(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest();
}

/** The part of a key that may be shown to tell it from others: its first ten characters, never more than half. */
export function apiKeyHint(key: string): string {
  return key.slice(0, Math.min(hintLength, Math.floor(key.length / 2)));
}
