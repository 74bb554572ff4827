/** What bounds an export. */
export const exportLimits = {
  /** Streams of one export. */
  streamsMax: 1_000,
  /** Channels of all streams of one export: what its metadata lists. */
  channelsMax: 50_000,
  /** Columns of channels that a wide export can have. Each is read by pages of its own, at the same time. */
  columnsMax: 500,
  /** Rows of an even grid (every), of all streams of an export; over it 422. Gaps are rows too. */
  gridRowsMax: 10_000_000,
  /** Rows of a sheet of XLSX, the names of the columns among them; over it 422. No spreadsheet reads more. */
  sheetRowsMax: 1_048_576,
  /** Rows of a wide CSV that are put together at a time. */
  csvRowsMax: 1_024,
  /**
   * Rows of one row group of Parquet. A group is encoded in one go: its size bounds the memory and how long the process
   * does nothing else, about 30 ms.
   */
  groupRowsMax: 32_768,
  /** Cells of one row group of wide Parquet. */
  groupCellsMax: 262_144,
  /** The fewest rows of one row group of wide Parquet, so that the directory of the file stays small beside the data. */
  groupRowsMin: 1_024,
  /** The largest file that is kept, as a part of EXPORT_CACHE_BYTES; larger ones are streamed as if there were no cache. */
  keptFileShare: 0.25,
  /** Files that a process makes at a time in order to keep them; what is asked for meanwhile is sent without being kept. */
  keptMakesMax: 2,
  /** Exports that a process remembers to be too large to be kept. */
  tooLargeMax: 1_000,
  /** Milliseconds after which a file that was begun and not finished is taken for one whose maker is gone. */
  partMsMax: 3_600_000,
};

export type ExportLimits = Readonly<typeof exportLimits>;
