import { createHash } from 'node:crypto';

/** A random sequence that is the same for the same seed and purpose, so that a failed test can be repeated exactly. */
export interface Chance {
  bytes(length: number): Buffer;
  /** A number from 0 up to, but not including, 1. */
  fraction(): number;
}

/** @param purpose each purpose has a sequence of its own */
export function chanceOf(seed: string, purpose: string): Chance {
  let block = 0;
  let rest = Buffer.alloc(0);
  const bytes = (length: number): Buffer => {
    while (rest.length < length) {
      const next = createHash('sha256').update(`${seed}\n${purpose}\n${block++}`).digest();
      rest = Buffer.concat([rest, next]);
    }
    const drawn = rest.subarray(0, length);
    rest = rest.subarray(length);
    return drawn;
  };
  return { bytes, fraction: () => bytes(6).readUIntBE(0, 6) / 2 ** 48 };
}
