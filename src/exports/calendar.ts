/** Unix seconds of the years 1 to 9999: the range of ISO 8601 with four digits, and of most calendar programs. */
const firstSecond = -62_135_596_800;
const endSecond = 253_402_300_800;

const microsPerSecond = 1_000_000;
const secondsPerDay = 86_400;
const textLength = '2026-01-31T08:00:00.000001Z'.length;
const zero = 0x30;

/**
 * A calendar time to the nearest microsecond. One object is set again for each time, so that no time needs an object of its
 * own.
 */
export class CalendarTime {
  #wholeSeconds = 0;
  #micros = 0;
  #day = Number.NaN;
  readonly #text = Buffer.alloc(textLength);

  /** @returns false for a time outside of the years 1 to 9999; then no other method may be called */
  set(seconds: number): boolean {
    if (!(seconds >= firstSecond && seconds < endSecond)) return false;
    // The fraction is computed exactly, so that there is only one rounding.
    this.#wholeSeconds = Math.floor(seconds);
    this.#micros = Math.round((seconds - this.#wholeSeconds) * microsPerSecond);
    // This cannot happen in the last second: float64 are too far apart there.
    if (this.#micros === microsPerSecond) {
      this.#wholeSeconds++;
      this.#micros = 0;
    }
    return true;
  }

  /** Microseconds since 1970. */
  micros(): bigint {
    const micros = this.#wholeSeconds * microsPerSecond + this.#micros;
    if (Number.isSafeInteger(micros)) return BigInt(micros);
    return BigInt(this.#wholeSeconds) * BigInt(microsPerSecond) + BigInt(this.#micros);
  }

  /** As `2026-01-31T08:00:00.000001Z`; valid until the next time is set. */
  text(): Uint8Array {
    const day = Math.floor(this.#wholeSeconds / secondsPerDay);
    if (day !== this.#day) {
      this.#text.write(new Date(day * secondsPerDay * 1_000).toISOString());
      this.#text[textLength - 1] = 'Z'.charCodeAt(0);
      this.#day = day;
    }
    const second = this.#wholeSeconds - day * secondsPerDay;
    this.#digits(11, 2, Math.floor(second / 3_600));
    this.#digits(14, 2, Math.floor(second / 60) % 60);
    this.#digits(17, 2, second % 60);
    this.#digits(20, 6, this.#micros);
    return this.#text;
  }

  #digits(at: number, width: number, value: number): void {
    let rest = value;
    for (let i = at + width - 1; i >= at; i--) {
      const tens = (rest / 10) | 0;
      this.#text[i] = zero + rest - tens * 10;
      rest = tens;
    }
  }
}
