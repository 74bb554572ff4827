/*
 * Parameters for long arrays in PostgreSQL's binary format. As text, an array costs PostgreSQL 0.35 µs for each UUID
 * and 0.1 µs for each whole number; in binary a tenth of that. A chunk of 100 points takes 40 µs in all, and has five
 * UUIDs in its statements.
 */
import { textArray } from './array-literal.ts';

const headerBytes = 20;
const lengthBytes = 4;
const uuidOid = 2950;
const uuidBytes = 16;
const bigintOid = 20;
const bigintBytes = 8;

/** An array of UUIDs, for `$1::uuid[]`. It is sent as text if one has an unusual form, so that PostgreSQL judges it. */
export function uuidArray(uuids: readonly string[]): Buffer | string {
  const array = allocate(uuids.length, uuidOid, uuidBytes);
  let at = headerBytes;
  for (const uuid of uuids) {
    array.writeInt32BE(uuidBytes, at);
    if (!writeUuid(array, at + lengthBytes, uuid)) return textArray(uuids);
    at += lengthBytes + uuidBytes;
  }
  return array;
}

/** An array of whole numbers up to 2^53, for `$1::bigint[]`. */
export function bigintArray(numbers: readonly number[]): Buffer {
  const array = allocate(numbers.length, bigintOid, bigintBytes);
  let at = headerBytes;
  for (const number of numbers) {
    array.writeInt32BE(bigintBytes, at);
    array.writeInt32BE(Math.floor(number / 2 ** 32), at + lengthBytes);
    array.writeUInt32BE(number >>> 0, at + lengthBytes + 4);
    at += lengthBytes + bigintBytes;
  }
  return array;
}

/** An array of one dimension; an empty array has no dimension. */
function allocate(length: number, oid: number, elementBytes: number): Buffer {
  if (length === 0) return Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, oid >>> 8, oid & 0xff]);
  const array = Buffer.allocUnsafe(headerBytes + length * (lengthBytes + elementBytes));
  array.writeInt32BE(1, 0);
  array.writeInt32BE(0, 4);
  array.writeInt32BE(oid, 8);
  array.writeInt32BE(length, 12);
  array.writeInt32BE(1, 16);
  return array;
}

/** @returns false for anything but a UUID with its four hyphens */
function writeUuid(buffer: Buffer, from: number, uuid: string): boolean {
  if (uuid.length !== 36) return false;
  let at = from;
  for (let i = 0; i < 36; i += 2) {
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (uuid.charCodeAt(i) !== hyphen) return false;
      i++;
    }
    const high = digitOf(uuid.charCodeAt(i));
    const low = digitOf(uuid.charCodeAt(i + 1));
    if (high === undefined || low === undefined) return false;
    buffer[at++] = high * 16 + low;
  }
  return true;
}

const hyphen = 45;
const digits = Array.from({ length: 128 }, (_, code) => {
  const digit = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(digit) ? undefined : digit;
});
const digitOf = (code: number) => digits[code];
