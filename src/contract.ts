/**
 * The sizes that the API promises. A column, an index or the documented API sets each of them, so they are the same on
 * every server and never change while data exists. Unlike the limits of rooms they are therefore constants and not
 * options. Schemas are built from them. The error that one of them causes shows its value.
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
