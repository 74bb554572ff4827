import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCopyRowReader, forEachCopyRow } from '../../src/lib/copy-binary.ts';

type Row = (string | null)[];

/** What PostgreSQL sends for rows of texts. */
function imageOf(rows: readonly Row[]): Buffer {
  const int = (value: number, bytes: 2 | 4) => {
    const image = Buffer.alloc(bytes);
    image.writeIntBE(value, 0, bytes);
    return image;
  };
  const field = (text: string | null) =>
    text === null ? [int(-1, 4)] : [int(Buffer.byteLength(text), 4), Buffer.from(text)];
  return Buffer.concat([
    Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'),
    int(0, 4),
    int(0, 4),
    ...rows.flatMap((row) => [int(row.length, 2), ...row.flatMap(field)]),
    int(-1, 2),
  ]);
}

const rowsOf = fc.array(
  fc.array(fc.option(fc.string({ maxLength: 9 }), { nil: null }), { minLength: 1, maxLength: 3 }),
);

test('rows are read while they arrive, wherever the pieces are cut', () => {
  fc.assert(
    fc.property(rowsOf, fc.integer({ min: 1, max: 40 }), (rows, pieceBytes) => {
      const image = imageOf(rows);
      const read: Row[] = [];
      let fields = 0;
      const reader = createCopyRowReader((row) => {
        fields = rows[read.length]?.length ?? 0;
        read.push(Array.from({ length: fields }, (_, i) => (row.isNull(i) ? null : row.text(i))));
      });
      for (let at = 0; at < image.length; at += pieceBytes) reader.push(image.subarray(at, at + pieceBytes));
      reader.end();
      expect(read).toEqual(rows);
    }),
  );
});

test('what is cut, or is no such output, is an error', () => {
  const image = imageOf([['a'], ['b']]);
  for (let bytes = 0; bytes < image.length; bytes++) {
    expect(() => forEachCopyRow(image.subarray(0, bytes), () => {}), `${bytes} bytes`).toThrow();
  }
  expect(() => forEachCopyRow(Buffer.from('{"this": "is no output of COPY"}'), () => {})).toThrow('not a binary COPY');
});
