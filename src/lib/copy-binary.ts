/** One row of PostgreSQL's binary COPY format. Its fields are valid until the next row is read. */
export interface CopyRow {
  isNull(field: number): boolean;
  int2(field: number): number;
  int4(field: number): number;
  /** An int8 below 2^53. */
  int8(field: number): number;
  float8(field: number): number;
  bool(field: number): boolean;
  bytes(field: number): Buffer;
  text(field: number): string;
}

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const headerBytes = signature.length + 8;

/**
 * Reads a complete output of `copy (…) to stdout (format binary)`. All rows share one `CopyRow` object.
 * @throws Error when the bytes are not in this format or are cut
 */
export function forEachCopyRow(image: Buffer, visit: (row: CopyRow) => void): void {
  const reader = createCopyRowReader(visit);
  reader.push(image);
  reader.end();
}

/**
 * Reads an output of binary COPY while it arrives, in pieces that may be cut anywhere. `end` throws when it
 * is cut.
 */
export function createCopyRowReader(visit: (row: CopyRow) => void) {
  /** The bytes that have arrived; those before `at`, where the next row begins, have been read. */
  let image: Buffer = Buffer.alloc(0);
  let at = 0;
  let isBegun = false;
  let isOver = false;
  const starts: number[] = [];
  const lengths: number[] = [];
  const row = rowOver(() => image, starts, lengths);

  function readHeader(): void {
    if (image.length < headerBytes) return;
    if (!image.subarray(0, signature.length).equals(signature)) throw new Error('not a binary COPY image');
    const end = headerBytes + image.readInt32BE(signature.length + 4);
    if (image.length < end) return;
    at = end;
    isBegun = true;
  }

  /** Finds the fields of the row at `at`. @returns where it ends; undefined while it has not arrived whole */
  function findRow(): number | undefined {
    if (image.length < at + 2) return undefined;
    const fields = image.readInt16BE(at);
    if (fields === -1) {
      isOver = true;
      return undefined;
    }
    let end = at + 2;
    for (let field = 0; field < fields; field++) {
      if (image.length < end + 4) return undefined;
      const length = image.readInt32BE(end);
      end += 4;
      starts[field] = end;
      lengths[field] = length;
      if (length > 0) end += length;
    }
    return image.length < end ? undefined : end;
  }

  return {
    push(piece: Buffer): void {
      image = at === image.length ? piece : Buffer.concat([image.subarray(at), piece]);
      at = 0;
      if (!isBegun) readHeader();
      while (isBegun && !isOver) {
        const end = findRow();
        if (end === undefined) return;
        visit(row);
        at = end;
      }
    },
    end(): void {
      if (!isOver) throw new Error('a COPY image is cut');
    },
  };
}

function rowOver(image: () => Buffer, starts: number[], lengths: number[]): CopyRow {
  const start = (field: number) => {
    if ((lengths[field] ?? -1) < 0) throw new Error(`field ${field} of a COPY row is null`);
    return starts[field] as number;
  };
  const bytes = (field: number) => {
    const from = start(field);
    return image().subarray(from, from + (lengths[field] as number));
  };
  return {
    isNull: (field) => (lengths[field] ?? -1) < 0,
    int2: (field) => image().readInt16BE(start(field)),
    int4: (field) => image().readInt32BE(start(field)),
    // Two 32-bit halves avoid a BigInt: a ledger of a million chunks reads three million of these.
    int8: (field) => image().readInt32BE(start(field)) * 2 ** 32 + image().readUInt32BE(start(field) + 4),
    float8: (field) => image().readDoubleBE(start(field)),
    bool: (field) => image()[start(field)] === 1,
    bytes,
    text: (field) => bytes(field).toString('utf8'),
  };
}
