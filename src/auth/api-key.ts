import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { contract } from '../contract.ts';

/** All keys of this server begin with it, so that people and secret scanners recognise a leaked one. */
export const keyPrefix = 'msk1_';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const idLength = 10;
const secretLength = 43;
const checksumLength = 6;
const ownForm = /^(msk1_([0-9A-Za-z]{10})_[0-9A-Za-z]{43})_([0-9A-Za-z]{6})$/;
const hintLength = 10;
const hashIdBytes = 8;

/**
 * A new random key: `msk1_id_secret_checksum` in base 62. The id is not secret; the secret has 256 random bits.
 * @param chance source of random bytes; the test mode replaces it by a repeatable one
 */
export function newApiKey(chance: (length: number) => Buffer = randomBytes): string {
  const key = `${keyPrefix}${randomText(idLength, chance)}_${randomText(secretLength, chance)}`;
  return `${key}_${checksum(key)}`;
}

/**
 * The form in which a key is stored. A fast hash without salt is enough, because a key of this server has 256 random
 * bits. An imported key is as strong as whoever chose it made it: its length alone is checked.
 */
export function hashApiKey(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest();
}

/**
 * The id by which a key is looked up, which is not secret: the id inside a key of this server, or the beginning of the
 * hash of any other key.
 * @returns undefined for a text that cannot be a key: too short, too long, or in this server's form but mistyped
 */
export function publicIdOf(key: string): string | undefined {
  if (isMistyped(key) || key.length < contract.keyLengthMin || key.length > contract.keyLengthMax) return undefined;
  return ownForm.exec(key)?.[2] ?? hashApiKey(key).toString('hex', 0, hashIdBytes);
}

/** Whether a key begins like those of this server, but is cut, too long, or has a wrong character. */
export function isMistyped(key: string): boolean {
  if (!key.startsWith(keyPrefix)) return false;
  const [, text, , sum] = ownForm.exec(key) ?? [];
  return text === undefined || checksum(text) !== sum;
}

/**
 * The part of a key that may be shown to identify it: its id, or the first quarter of another form, ten characters at
 * most.
 */
export function apiKeyHint(key: string): string {
  const [, , id] = ownForm.exec(key) ?? [];
  return id === undefined ? key.slice(0, Math.min(hintLength, Math.floor(key.length / 4))) : keyPrefix + id;
}

export function randomText(length: number, chance: (length: number) => Buffer): string {
  let text = '';
  while (text.length < length) {
    for (const byte of chance(length)) {
      // 248 is a multiple of 62. Using the bytes above it would make the first characters of the alphabet more likely.
      if (byte < 248 && text.length < length) text += alphabet[byte % alphabet.length];
    }
  }
  return text;
}

/** CRC-32 in base 62. It protects nothing, but reveals a typing error without a look-up. */
export function checksum(text: string): string {
  let digits = '';
  for (let rest = crc32(text); digits.length < checksumLength; rest = Math.floor(rest / alphabet.length)) {
    digits = alphabet[rest % alphabet.length] + digits;
  }
  return digits;
}
