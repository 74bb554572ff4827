/** What bounds a request to the catalogue, and the statements that answer it. */
export const catalogueLimits = {
  /** Keywords of one search: each is looked for in every text of every entry. */
  searchKeywordsMax: 100,
  /** Words of all keywords of one search together. */
  searchWordsMax: 300,
  /** Entries, samples or projects that one search may name. */
  searchIdsMax: 5_000,
  /**
   * Entries that one statement of a search looks through: 20 ms of work with as many keywords as a search may have. The rows
   * of a page are read as they arrive, in 2 ms, and those of ten connections may arrive together.
   */
  searchPageEntriesMax: 100,
  /** Runs that one answer may have, and how many it has when nobody says. */
  runsMax: 500,
  runsUsual: 100,
  /** Runs that one statement looks through for those that pass a filter: 100 ms of work with a search that finds none. */
  runsLookMax: 2_000,
  /** Runs that one request looks through; beyond it the answer is shorter than asked for, and says where to go on. */
  runsLookedThroughMax: 10_000,
  /** Runs that one statement describes: half a second of work when each has as many channels as are counted. */
  runsDescribedMax: 50,
  /** Channels of a run whose missing chunks are counted in a list; of one that has more, its ledger tells. */
  runChannelsCountedMax: 1_000,
  /** Runs up to which a list says how many there are in all. */
  runsCountedMax: 100_000,
  /** Values of one filter of runs. */
  runFilterValuesMax: 50,
  /** Rows that one statement of another list reads. */
  listPageRowsMax: 200,
  /** Data entries, tags or instruments that one request may name. */
  linkedIdsMax: 10_000,
  /** Characters of the note of a data entry: each search carries it. */
  noteCharactersMax: 10_000,
  /** Levels of a client's own JSON document; PostgreSQL and JSON.stringify both recurse over them. */
  jsonDepthMax: 100,
  /** Bytes of a JSON document of a client, as JSON: the configuration of a project, the metadata of a sample. */
  documentBytesMax: 262_144,
  /** Bytes up to which a list reads such documents together with their rows; larger ones come one by one. */
  documentInlineBytesMax: 2_000,
  /** Links between tags and data entries that one request may ask for: half a second of work in one transaction. */
  tagLinksMax: 10_000,
  /** Tags of one data entry: each search and each export carries them. */
  entryTagsMax: 500,
  /** Projects of one sample, and samples of one project: lists carry the ones and the others. */
  sampleProjectsMax: 500,
  projectSamplesMax: 10_000,
};

export type CatalogueLimits = Readonly<typeof catalogueLimits>;
