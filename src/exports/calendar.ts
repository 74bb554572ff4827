/** Unix seconds of the years 1 to 9999: what ISO 8601 with four digits, and the calendars of most programs, can say. */
const firstSecond = -62_135_596_800;
const endSecond = 253_402_300_800;

const microsPerSecond = 1_000_000;
const secondsPerDay = 86_400;
const textLength = '2026-01-31T08:00:00.000001Z'.length;
const zero = 0x30;

/** A time of the calendar to the nearest microsecond, set from Unix seconds again and again without an object each. */
export class CalendarTime {
  #wholeSeconds = 0;
  #micros = 0;
  #day = Number.NaN;
  readonly #text = Buffer.alloc(textLength);

  /** @returns false for what is no time of the years 1 to 9999; nothing else may be asked for then. */
  set(seconds: number): boolean {
    if (!(seconds >= firstSecond && seconds < endSecond)) return false;
    // The fraction is exact, so that only one rounding happens.
    this.#wholeSeconds = Math.floor(seconds);
    this.#micros = Math.round((seconds - this.#wholeSeconds) * microsPerSecond);
    // Not in the last second: near it float64 are too far apart.
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

  /** `2026-01-31T08:00:00.000001Z`; valid until the next time is set. */
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
