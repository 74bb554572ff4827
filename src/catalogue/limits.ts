/** The bounds of requests to the catalogue, and of the statements that answer them. */
export const catalogueLimits = {
  /** Keywords of one search: each is looked for in every text of every entry. */
  searchKeywordsMax: 100,
  /** Words of all keywords of one search together. */
  searchWordsMax: 300,
  /** Entries, samples or projects that one search may name. */
  searchIdsMax: 5_000,
  /**
   * Entries that one statement of a search looks through: 20 ms of work with the most keywords that a search may have. The
   * rows of a page are read as they arrive, in 2 ms, and rows of ten connections may arrive together.
   */
  searchPageEntriesMax: 100,
  /** Runs of one answer at most, and by default. */
  runsMax: 500,
  runsUsual: 100,
  /** Runs that one statement searches for matches: 100 ms of work if no run matches. */
  runsLookMax: 2_000,
  /** Runs that one request searches at most. An answer that ends there is shorter than asked for, and has a cursor. */
  runsLookedThroughMax: 10_000,
  /** Runs that one statement describes: half a second of work if each has `runChannelsCountedMax` channels. */
  runsDescribedMax: 50,
  /** A list counts missing chunks only for runs of at most this many channels. For longer runs the ledger shows them. */
  runChannelsCountedMax: 1_000,
  /** A list gives the total number of runs up to this number. */
  runsCountedMax: 100_000,
  /** Values of one filter of runs. */
  runFilterValuesMax: 50,
  /** Rows that one statement of any other list reads. */
  listPageRowsMax: 200,
  /** Data entries, tags or instruments that one request may name. */
  linkedIdsMax: 10_000,
  /** Characters of the note of a data entry. Every search result includes it. */
  noteCharactersMax: 10_000,
  /** Levels of a client's own JSON document: PostgreSQL and JSON.stringify both recurse over them. */
  jsonDepthMax: 100,
  /** Bytes of a JSON document of a client, as JSON: the configuration of a project, the metadata of a sample. */
  documentBytesMax: 262_144,
  /** Bytes up to which a list reads such documents together with their rows. Larger ones are read one by one. */
  documentInlineBytesMax: 2_000,
  /** Links between tags and data entries that one request may ask for: half a second of work in one transaction. */
  tagLinksMax: 10_000,
  /** Tags of one data entry. Every search result and every export includes them. */
  entryTagsMax: 500,
  /** Projects of one sample, and samples of one project. Lists include both. */
  sampleProjectsMax: 500,
  projectSamplesMax: 10_000,
};

export type CatalogueLimits = Readonly<typeof catalogueLimits>;
