import { decodeFloat8Array } from '../database/float8-array.ts';
import { bytesApart } from '../database/series-image.ts';
import type { Packer } from '../database/series-packer.ts';

/** The columns of a packed series. */
export interface SeriesColumns {
  exponent: number;
  base: number;
  step: number;
  /** Null where all residuals are 0. */
  residuals: Buffer | null;
  /** The last bytes of the residuals, where they are stored apart. */
  rest: Buffer | null;
}

/**
 * @param image a binary float8[] as it was sent
 * @returns undefined where no packed form is exact and shorter
 */
export function packImage(image: Buffer, packer: Packer): SeriesColumns | undefined {
  const series = packer.pack(decodeFloat8Array(image));
  if (series === undefined) return undefined;
  const { residuals, ...line } = series;
  const kept = residuals.length - bytesApart(residuals);
  return {
    ...line,
    residuals: kept === 0 ? null : residuals.subarray(0, kept),
    rest: kept === residuals.length ? null : residuals.subarray(kept),
  };
}

export const columnsByteLength = ({ residuals, rest }: SeriesColumns) => (residuals?.length ?? 0) + (rest?.length ?? 0);
