/** What bounds an export. */
export const exportLimits = {
  /** Streams of one export. */
  streamsMax: 1_000,
  /** Channels of all streams of one export: what its metadata lists. */
  channelsMax: 50_000,
  /** Channel columns of a wide export. All channels are read at the same time, each in its own pages. */
  columnsMax: 500,
  /** Rows of an even grid (every) of all streams of an export; over it 422. Rows in gaps count too. */
  gridRowsMax: 10_000_000,
  /** Rows of an XLSX sheet, with the header row; over it 422. No spreadsheet reads more. */
  sheetRowsMax: 1_048_576,
  /** Rows of a wide CSV that are collected at a time. */
  csvRowsMax: 1_024,
  /**
   * Rows of one row group of Parquet. A group is encoded without a pause: its size bounds the memory, and how long the
   * event loop is blocked, about 30 ms.
   */
  groupRowsMax: 32_768,
  /** Cells of one row group of wide Parquet. */
  groupCellsMax: 262_144,
  /** The fewest rows of one row group of wide Parquet, so that the metadata of the file stays small beside the data. */
  groupRowsMin: 1_024,
  /** The largest file that is kept, as a share of EXPORT_CACHE_BYTES. Larger exports are streamed as without a cache. */
  keptFileShare: 0.25,
  /** Files that a process makes for the cache at a time. Other exports meanwhile are streamed and not kept. */
  keptMakesMax: 2,
  /** How many exports a process remembers as too large for the cache. */
  tooLargeMax: 1_000,
  /** Milliseconds after which an unfinished file counts as left behind by a process that has gone. */
  partMsMax: 3_600_000,
};

export type ExportLimits = Readonly<typeof exportLimits>;
