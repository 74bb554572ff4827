import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { contract } from '../contract.ts';

/** What keys of this server begin with, so that a leaked one is recognised by people and by secret scanners. */
export const keyPrefix = 'msk1_';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const idLength = 10;
const secretLength = 43;
const checksumLength = 6;
const ownForm = /^(msk1_([0-9A-Za-z]{10})_[0-9A-Za-z]{43})_([0-9A-Za-z]{6})$/;
const hintLength = 10;
const hashIdBytes = 8;

/**
 * A new random key, `msk1_id_secret_checksum` in base 62. The id is no secret; the secret has 256 bits of chance.
 * @param chance where its random bytes come from; only the test mode has another source, which can be repeated
 */
export function newApiKey(chance: (length: number) => Buffer = randomBytes): string {
  const key = `${keyPrefix}${randomText(idLength, chance)}_${randomText(secretLength, chance)}`;
  return `${key}_${checksum(key)}`;
}

/** How a key rests in the database. A key has at least 128 random bits, so a fast hash without salt is enough. */
export function hashApiKey(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest();
}

/**
 * What a key is looked up by, which is no secret: the id in a key of this server, the beginning of the hash of any other.
 * @returns undefined for what cannot be a key: too short, too long, or of this server's form but with a typing error
 */
export function publicIdOf(key: string): string | undefined {
  if (isMistyped(key) || key.length < contract.keyLengthMin || key.length > contract.keyLengthMax) return undefined;
  return ownForm.exec(key)?.[2] ?? hashApiKey(key).toString('hex', 0, hashIdBytes);
}

/** Whether a key begins like those of this server, but is cut, longer, or has a wrong character. */
export function isMistyped(key: string): boolean {
  if (!key.startsWith(keyPrefix)) return false;
  const [, text, , sum] = ownForm.exec(key) ?? [];
  return text === undefined || checksum(text) !== sum;
}

/** The part of a key that may be shown to tell it from others: its id, or a quarter of it, ten characters at most. */
export function apiKeyHint(key: string): string {
  const [, , id] = ownForm.exec(key) ?? [];
  return id === undefined ? key.slice(0, Math.min(hintLength, Math.floor(key.length / 4))) : keyPrefix + id;
}

export function randomText(length: number, chance: (length: number) => Buffer): string {
  let text = '';
  while (text.length < length) {
    for (const byte of chance(length)) {
      // Bytes from 248 on would make the first characters of the alphabet likelier than the rest.
      if (byte < 248 && text.length < length) text += alphabet[byte % alphabet.length];
    }
  }
  return text;
}

/** CRC-32 in base 62: no protection, but a typing error shows without a look-up. */
export function checksum(text: string): string {
  let digits = '';
  for (let rest = crc32(text); digits.length < checksumLength; rest = Math.floor(rest / alphabet.length)) {
    digits = alphabet[rest % alphabet.length] + digits;
  }
  return digits;
}
