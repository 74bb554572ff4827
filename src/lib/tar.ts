/*
 * The simplest form of a tar file (POSIX ustar): plain files with short names, one after the other. Any tar reads what is written here;
 * what is read here must look exactly as it is written here, so that a single bit that differs is found.
 */

const blockBytes = 512;
const mode = '0000600';
const nobody = '0000000';

export interface TarEntry {
  /** 1 to 100 ASCII characters. */
  name: string;
  body: Buffer;
}

/** What follows the last entry. */
export const tarEnd: Buffer = Buffer.alloc(2 * blockBytes);

/** An entry as it stands in the file. @param seconds its time, in Unix seconds */
export function tarEntry({ name, body }: TarEntry, seconds: number): Buffer {
  return Buffer.concat([tarHeader(name, body.length, seconds), body, Buffer.alloc(paddingOf(body.length))]);
}

/** @throws where the name or the size has no place in a header */
function tarHeader(name: string, size: number, seconds: number): Buffer {
  if (!/^[\x21-\x7e]{1,100}$/.test(name)) throw new Error(`"${name}" is no name for a file in a tar file`);
  const header = Buffer.alloc(blockBytes);
  const fields: [at: number, text: string][] = [
    ...([
      [0, name],
      [100, `${mode}\0`],
      [108, `${nobody}\0`],
      [116, `${nobody}\0`],
    ] as [number, string][]),
    ...([
      [124, `${octal(size)}\0`],
      [136, `${octal(seconds)}\0`],
      [148, ' '.repeat(8)],
      [156, '0'],
    ] as [number, string][]),
    [257, 'ustar\x0000'],
  ];
  for (const [at, text] of fields) header.write(text, at, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

function octal(value: number): string {
  const digits = value.toString(8).padStart(11, '0');
  if (digits.length > 11) throw new Error(`${value} is too large for a tar file`);
  return digits;
}

const paddingOf = (size: number) => (blockBytes - (size % blockBytes)) % blockBytes;

/** Why bytes are no tar file of this form. */
export class TarProblem extends Error {}

/**
 * Reads such a file. An entry is held whole.
 * @param onBytes is told of all bytes of the entries in their order, those of an entry before it is given; not of the end
 * @throws TarProblem where the file is cut or of another form, and for an entry of more than `entryBytesMax`
 */
export async function* readTar(
  source: AsyncIterable<Buffer>,
  { entryBytesMax, onBytes = () => {} }: { entryBytesMax: number; onBytes?: (bytes: Buffer) => void },
): AsyncGenerator<TarEntry> {
  const take = taker(source);
  for (;;) {
    const header = await take(blockBytes);
    if (header.equals(tarEnd.subarray(0, blockBytes))) break;
    const { name, size } = readHeader(header);
    if (size > entryBytesMax) {
      throw new TarProblem(`${name} has ${size} bytes, more than ${entryBytesMax} (entryBytesMax)`);
    }
    const padding = paddingOf(size);
    const content = await take(size + padding);
    if (!content.subarray(size).equals(tarEnd.subarray(0, padding))) throw new TarProblem(`${name} has a broken end`);
    onBytes(header);
    onBytes(content);
    yield { name, body: content.subarray(0, size) };
  }
  if (!(await take(blockBytes)).equals(tarEnd.subarray(0, blockBytes))) throw new TarProblem('its end is broken');
  if (!(await take.isOver())) throw new TarProblem('something follows its end');
}

function readHeader(header: Buffer): { name: string; size: number } {
  const end = header.indexOf(0);
  const name = header.toString('latin1', 0, end < 0 || end > 100 ? 100 : end);
  const number = (at: number) => Number.parseInt(header.toString('latin1', at, at + 11), 8);
  const [size, seconds] = [number(124), number(136)];
  const isWritten = /^[\x21-\x7e]+$/.test(name) && Number.isSafeInteger(size) && Number.isSafeInteger(seconds);
  if (!isWritten || !header.equals(tarHeader(name, size, seconds))) throw new TarProblem('a header is broken');
  return { name, size };
}

/** Hands out the next so many bytes of a source, in pieces that have nothing to do with those in which they come. */
function taker(source: AsyncIterable<Buffer>) {
  const pieces = source[Symbol.asyncIterator]();
  let rest: Buffer[] = [];
  let length = 0;
  const fill = async (bytes: number) => {
    while (length < bytes) {
      const { done, value } = await pieces.next();
      if (done) return false;
      rest.push(value);
      length += value.length;
    }
    return true;
  };
  const take = async (bytes: number): Promise<Buffer> => {
    if (!(await fill(bytes))) throw new TarProblem('it is cut');
    const all = rest.length === 1 ? (rest[0] as Buffer) : Buffer.concat(rest);
    rest = [all.subarray(bytes)];
    length -= bytes;
    return all.subarray(0, bytes);
  };
  return Object.assign(take, { isOver: async () => !(await fill(1)) });
}
