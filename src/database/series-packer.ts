/** Finds the form of a series that packed-series.ts describes. */
import { endianness } from 'node:os';
import { absentOf, type PackedSeries, powersOfTen, widthMax } from './packed-series.ts';

const rangeMax = absentOf[widthMax] as number;
const exponentOfTwoMax = 1_000;

export interface Packer {
  /**
   * @param readings absent ones are NaN
   * @returns undefined where no form gives back every bit, or none is shorter than float64
   */
  pack(readings: Float64Array): PackedSeries | undefined;
}

/**
 * A packer keeps a buffer for the whole numbers of one series, and reuses it from call to call.
 * @param keptPointsMax points of the longest series whose buffer is kept
 */
export function createPacker(keptPointsMax = 16_384): Packer {
  let kept = new Float64Array(1_024);
  function roomFor(length: number): Float64Array {
    if (length <= kept.length) return kept;
    const room = new Float64Array(length);
    if (length <= keptPointsMax) kept = room;
    return room;
  }
  return {
    pack(readings) {
      const samples = samplesOf(readings);
      if (samples === undefined) return undefined;
      const whole = roomFor(readings.length);
      return packBy(ten, readings, samples, whole) ?? packBy(two, readings, samples, whole);
    },
  };
}

/** Places of the first, a middle and the last reading. They mostly determine the scale, and whether there is any. */
interface Samples {
  first: number;
  middle: number;
  last: number;
}

/** @returns undefined where all are absent */
function samplesOf(readings: Float64Array): Samples | undefined {
  let first = 0;
  while (first < readings.length && Number.isNaN(readings[first])) first++;
  if (first === readings.length) return undefined;
  let last = readings.length - 1;
  while (Number.isNaN(readings[last])) last--;
  const middle = (first + last) >>> 1;
  return { first, middle: Number.isNaN(readings[middle]) ? first : middle, last };
}

/** A kind of scale: powers of ten or of two. Exponents are not negative here and only grow during a search. */
interface Kind {
  /** @returns the smallest exponent from `exponent` on that makes a reading whole; undefined where none does */
  exponentFor(reading: number, exponent: number): number | undefined;
  scaleOf(exponent: number): number;
  /** How an exponent is stored. */
  code(exponent: number): number;
  measure: typeof measureByTen;
}

const ten: Kind = {
  exponentFor(reading, exponent) {
    for (let tried = exponent; tried < powersOfTen.length; tried++) {
      const scale = powersOfTen[tried] as number;
      const product = Math.round(reading * scale);
      if (Math.abs(product) > Number.MAX_SAFE_INTEGER) return undefined;
      if (product / scale === reading) return tried;
    }
    return undefined;
  },
  scaleOf: (exponent) => powersOfTen[exponent] as number,
  code: (exponent) => exponent,
  measure: measureByTen,
};

const two: Kind = {
  exponentFor(reading, exponent) {
    const own = reading === 0 ? 0 : fractionBits(reading);
    if (own > exponentOfTwoMax || !isSafe(reading * 2 ** Math.max(exponent, own))) return undefined;
    return Math.max(exponent, own);
  },
  scaleOf: (exponent) => 2 ** exponent,
  // Avoids -0.
  code: (exponent) => 0 - exponent,
  measure: measureByTwo,
};

function packBy(kind: Kind, readings: Float64Array, samples: Samples, whole: Float64Array): PackedSeries | undefined {
  let exponent: number | undefined = 0;
  for (const place of [samples.first, samples.middle, samples.last]) {
    exponent = kind.exponentFor(readings[place] as number, exponent);
    if (exponent === undefined) return undefined;
  }
  let scale = kind.scaleOf(exponent);
  if (isSpread(readings, samples, scale)) return undefined;
  let line = stepOf(readings, samples, scale);
  let failed = kind.measure(readings, whole, scale, line);
  if (failed >= 0) {
    // Some reading needs more digits than those three: all from there on are checked, and all are measured again.
    exponent = exponentForAll(kind, readings, failed, exponent);
    if (exponent === undefined) return undefined;
    scale = kind.scaleOf(exponent);
    line = stepOf(readings, samples, scale);
    failed = kind.measure(readings, whole, scale, line);
  }
  return failed === fits ? write(readings.length, whole, kind.code(exponent), line) : undefined;
}

function exponentForAll(kind: Kind, readings: Float64Array, from: number, exponent: number): number | undefined {
  let found = exponent;
  for (let i = from; i < readings.length; i++) {
    const reading = readings[i] as number;
    if (Number.isNaN(reading)) continue;
    const own = kind.exponentFor(reading, found);
    // Most numbers that were not measured fail here, after a few readings.
    if (own === undefined) return undefined;
    found = own;
  }
  return found;
}

/** Whether the three readings are so far apart, and so far from a line, that no residuals can hold them. */
function isSpread(readings: Float64Array, { first, middle, last }: Samples, scale: number): boolean {
  if (middle === first || middle === last) return false;
  const atFirst = Math.round((readings[first] as number) * scale);
  const toMiddle = Math.round((readings[middle] as number) * scale) - atFirst;
  const toLast = Math.round((readings[last] as number) * scale) - atFirst;
  if (Math.max(Math.abs(toMiddle), Math.abs(toLast)) < rangeMax) return false;
  const step = Math.round(toLast / (last - first));
  return Math.abs(toMiddle - step * (middle - first)) >= rangeMax;
}

/** Measurements of the whole numbers of a series: their range, and that of their distances from the line of a step. */
interface Line {
  step: number;
  lowest: number;
  highest: number;
  lowestBeside: number;
  highestBeside: number;
  hasNulls: boolean;
}

/** The step from the first reading to the last. */
function stepOf(readings: Float64Array, { first, last }: Samples, scale: number): Line {
  const rise = Math.round((readings[last] as number) * scale) - Math.round((readings[first] as number) * scale);
  return {
    step: last === first ? 0 : Math.round(rise / (last - first)),
    lowest: 0,
    highest: 0,
    lowestBeside: 0,
    highestBeside: 0,
    hasNulls: false,
  };
}

/** Codes in the place of a reading's index: all readings fit; one never fits. */
const fits = -1;
const neverFits = -2;

/**
 * Multiplies the readings by a power of ten, writes the products, and measures them. It checks that every reading comes
 * back by the division that decodes it: base, step and residual add up exactly to the number that is written.
 * @returns the index of a reading that this scale does not make whole, or one of the two codes
 */
function measureByTen(readings: Float64Array, whole: Float64Array, scale: number, line: Line): number {
  const { step } = line;
  let [lowest, highest, hasNulls] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, false];
  let [lowestBeside, highestBeside] = [lowest, highest];
  for (let i = 0; i < readings.length; i++) {
    const reading = readings[i] as number;
    const product = Math.round(reading * scale);
    if (product / scale !== reading) {
      if (!Number.isNaN(reading)) return i;
      hasNulls = true;
      whole[i] = reading;
      continue;
    }
    // -0 equals 0, but has another bit pattern.
    if (product === 0 && Object.is(reading, -0)) return neverFits;
    whole[i] = product;
    if (product < lowest) lowest = product;
    if (product > highest) highest = product;
    const distance = product - step * i;
    if (distance < lowestBeside) lowestBeside = distance;
    if (distance > highestBeside) highestBeside = distance;
  }
  line.lowest = lowest;
  line.highest = highest;
  line.lowestBeside = lowestBeside;
  line.highestBeside = highestBeside;
  line.hasNulls = hasNulls;
  return fits;
}

/** The same with a power of two. Multiplying by it does not round, so a whole product always gives back its reading. */
function measureByTwo(readings: Float64Array, whole: Float64Array, scale: number, line: Line): number {
  const { step } = line;
  let [lowest, highest, hasNulls] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, false];
  let [lowestBeside, highestBeside] = [lowest, highest];
  for (let i = 0; i < readings.length; i++) {
    const reading = readings[i] as number;
    const product = reading * scale;
    if (product !== Math.round(product)) {
      if (!Number.isNaN(reading)) return i;
      hasNulls = true;
      whole[i] = reading;
      continue;
    }
    if (product === 0 && Object.is(reading, -0)) return neverFits;
    whole[i] = product;
    if (product < lowest) lowest = product;
    if (product > highest) highest = product;
    const distance = product - step * i;
    if (distance < lowestBeside) lowestBeside = distance;
    if (distance > highestBeside) highestBeside = distance;
  }
  line.lowest = lowest;
  line.highest = highest;
  line.lowestBeside = lowestBeside;
  line.highestBeside = highestBeside;
  line.hasNulls = hasNulls;
  return fits;
}

const float = new Float64Array(1);
const words = new Int32Array(float.buffer);
/** Which half of a float64 in memory holds sign and exponent. */
const high = endianness() === 'LE' ? 1 : 0;

/** Binary digits after the point of a number that is not 0; below 1 for a whole number. */
function fractionBits(reading: number): number {
  float[0] = reading;
  const upper = words[high] as number;
  const lower = words[1 - high] as number;
  const trailing = lower === 0 ? 32 + trailingZeros((upper & 0xfffff) | 0x100000) : trailingZeros(lower);
  return 1_075 - ((upper >>> 20) & 0x7ff) - trailing;
}

const trailingZeros = (word: number) => 31 - Math.clz32(word & -word);

const isSafe = (number: number) => Math.abs(number) <= Number.MAX_SAFE_INTEGER;

/** How many bytes a residual up to `range` takes. */
function widthOf(range: number, hasNulls: boolean): number {
  if (range === 0 && !hasNulls) return 0;
  for (let width = 1; width <= widthMax; width++) if (range < (absentOf[width] as number)) return width;
  return widthMax + 1;
}

/** Chooses base and step, and writes the residuals. @returns undefined where they are too long or a sum is inexact */
function write(length: number, whole: Float64Array, exponent: number, line: Line): PackedSeries | undefined {
  const { lowest, highest, lowestBeside, highestBeside, hasNulls } = line;
  const level = widthOf(highest - lowest, hasNulls);
  const beside = widthOf(highestBeside - lowestBeside, hasNulls);
  const isBeside = beside < level;
  const [width, base, step] = isBeside ? [beside, lowestBeside, line.step] : [level, lowest, 0];
  if (width > widthMax || !isSafe(lowest) || !isSafe(highest)) return undefined;
  // A distance beyond 2^53 may have been rounded, and then the range of the residuals is wrong.
  const reach = step * (length - 1);
  if (isBeside && !(isSafe(base) && isSafe(highestBeside) && isSafe(reach) && isSafe(base + reach))) return undefined;
  return { exponent, base, step, residuals: toBytes(whole, length, width, { base, step, hasNulls }) };
}

/** The residuals: whole numbers minus base and step, in `width` bytes each, the highest byte first. */
function toBytes(
  whole: Float64Array,
  length: number,
  width: number,
  { base, step, hasNulls }: { base: number; step: number; hasNulls: boolean },
): Buffer {
  const bytes = Buffer.allocUnsafe(length * width);
  // The usual form has a loop of its own, which takes a third of the time.
  if (width === 2 && !hasNulls) {
    for (let i = 0; i < length; i++) {
      const residual = (whole[i] as number) - (base + step * i);
      bytes[2 * i] = residual >>> 8;
      bytes[2 * i + 1] = residual;
    }
    return bytes;
  }
  const absent = absentOf[width] as number;
  let at = 0;
  for (let i = 0; i < length && width > 0; i++) {
    const number = whole[i] as number;
    const residual = Number.isNaN(number) ? absent : number - (base + step * i);
    // `>>>` cannot reach bits above the lowest 32.
    if (width === 6) bytes[at++] = residual / 2 ** 40;
    if (width >= 5) bytes[at++] = residual / 2 ** 32;
    if (width >= 4) bytes[at++] = residual >>> 24;
    if (width >= 3) bytes[at++] = residual >>> 16;
    if (width >= 2) bytes[at++] = residual >>> 8;
    bytes[at++] = residual;
  }
  return bytes;
}
