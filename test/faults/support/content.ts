import { createHash } from 'node:crypto';
import { createRandom } from './random.ts';

/** What one channel of a chunk holds. */
export interface Content {
  timestamps: (number | null)[];
  values: (number | null)[];
  units: string | undefined;
}

/** The same as PostgreSQL sends it, and its digest: written apart from the server's own encoder. */
export interface Image {
  timestamps: Buffer;
  values: Buffer;
  hash: Buffer;
}

const oddValues = [0, -0, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308, 2 ** 53 + 2, 0.1 + 0.2, 1 / 3];
const unitsOf = [undefined, undefined, '', 'nm', '°C', 'Å/s'];

/**
 * The content with this number, always the same; no two numbers have the same content. A history keeps the number only,
 * so that 100,000 chunks fit into the memory of the test.
 */
export function contentOf(number: number): Content {
  const random = createRandom(Math.imul(number + 1, 0x9e3779b1));
  const length = random.chance(0.01) ? random.integer(500, 3_000) : random.integer(1, 60);
  const withNulls = random.chance(0.2);
  const withOdd = random.chance(0.2);
  const start = 1_700_000_000 + number * 10;
  const timestamps: (number | null)[] = [];
  const values: (number | null)[] = [];
  for (let i = 0; i < length; i++) {
    timestamps.push(withNulls && random.chance(0.05) ? null : start + i * 0.1 + random.next() * 0.01);
    if (i === 0) values.push(number + 0.25);
    else if (withNulls && random.chance(0.2)) values.push(null);
    else values.push(withOdd && random.chance(0.3) ? random.pick(oddValues) : (random.next() - 0.5) * 1_000);
  }
  return { timestamps, values, units: random.pick(unitsOf) };
}

export function imageOf({ timestamps, values, units }: Content): Image {
  const images = { timestamps: arrayImage(timestamps), values: arrayImage(values) };
  return { ...images, hash: hashOf(images.timestamps, images.values, units) };
}

/** SHA-256 over both arrays as PostgreSQL sends them, then a zero byte and the unit where there is one that is not empty. */
export function hashOf(timestamps: Buffer, values: Buffer, units: string | null | undefined): Buffer {
  const parts = [timestamps, values, ...(!units ? [] : [Buffer.from(`\u0000${units}`, 'utf8')])];
  return createHash('sha256').update(Buffer.concat(parts)).digest();
}

function arrayImage(numbers: readonly (number | null)[]): Buffer {
  const hasNull = numbers.includes(null);
  const head = Buffer.from(new Uint8Array(20));
  for (const [i, word] of [1, Number(hasNull), 701, numbers.length, 1].entries()) head.writeInt32BE(word, i * 4);
  const elements = numbers.map((number) => {
    const element = Buffer.alloc(number === null ? 4 : 12);
    element.writeInt32BE(number === null ? -1 : 8, 0);
    if (number !== null) element.writeDoubleBE(number, 4);
    return element;
  });
  return Buffer.concat([head, ...elements]);
}

/** JSON as Python writes it: −0 keeps its sign. */
export function contentJson({ timestamps, values, units }: Content): string {
  const list = (numbers: readonly (number | null)[]) =>
    `[${numbers.map((number) => (Object.is(number, -0) ? '-0.0' : String(number))).join(',')}]`;
  const unit = units === undefined ? '' : `,"units":${JSON.stringify(units)}`;
  return `"timestamps":${list(timestamps)},"values":${list(values)}${unit}`;
}
