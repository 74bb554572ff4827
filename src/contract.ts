/**
 * What the API promises of sizes, and its tables hold: the same on every server and for as long as there is data, so it is
 * not given from outside as the limits of rooms are. Schemas are made of it. Each stands by its value in the error that it
 * causes.
 */
export const contract = {
  /** Characters of a channel name; the documented contract of the API. */
  channelNameLengthMax: 255,
  /** Characters of the name of a sample, project or tag: a unique index holds it. */
  nameLengthMax: 255,
  /** Characters of any other text: names of streams and instruments, units. */
  textLengthMax: 1_000,
  /** Points per chunk that a stream may declare: an int4 column holds it. */
  pointsPerChunkMax: 2_147_483_647,
  /** chunk_index × points_per_chunk must stay exact in JSON and JavaScript: 2^53 − 1. */
  offsetMax: Number.MAX_SAFE_INTEGER,
  /** Characters of an API key. */
  keyLengthMin: 16,
  keyLengthMax: 512,
};
