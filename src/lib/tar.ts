/*
 * The simplest form of a tar file (POSIX ustar): plain files with short names, one after the other. Every tar program
 * reads the files written here. The reader accepts only files that look exactly as if written here, so that it finds
 * any changed bit.
 */

const blockBytes = 512;
const mode = '0000600';
const nobody = '0000000';

export interface TarEntry {
  /** 1 to 100 ASCII characters. */
  name: string;
  body: Buffer;
}

/** The bytes after the last entry. */
export const tarEnd: Buffer = Buffer.alloc(2 * blockBytes);

/** The bytes of an entry in the file. @param seconds its time of change, in Unix seconds */
export function tarEntry({ name, body }: TarEntry, seconds: number): Buffer {
  return Buffer.concat([tarHeader(name, body.length, seconds), body, Buffer.alloc(paddingOf(body.length))]);
}

/** @throws Error when the name or the size does not fit into a header */
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

/** Says why bytes are not a tar file of this form. */
export class TarProblem extends Error {}

/**
 * Reads a tar file entry by entry. Each entry is held in memory as a whole.
 * @param onBytes called with all bytes of the entries in their order, for each entry before it is yielded; not for the
 * end
 * @throws TarProblem when the file is cut or has another form, or when an entry is larger than `entryBytesMax`
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

/** Returns a function that takes the next `bytes` of a source, however the source has cut its pieces. */
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
