/** How the keywords of a search for entries are matched. */
import { sql } from 'kysely';
import { mayBeginId, type Words } from '../words.ts';

/**
 * SQL of whether a row of the search has all words of any one keyword, in any order. A word must be within one of the texts
 * that people gave, or be the beginning of an id. Texts are separated by line breaks, which no word contains.
 */
export function hasWords({ keywords, fold }: Words, isDistributed: boolean) {
  const has = (word: string) => {
    const inTexts = sql`strpos(searched.texts, ${word}::text) > 0`;
    return mayBeginId(word) ? sql`(${inTexts} or strpos(searched.ids, ${`\n${word}`}::text) > 0)` : inTexts;
  };
  const all = (words: string[]) => sql`(${sql.join(words.map(has), sql` and `)})`;
  // Because of "offset 0", texts are joined and folded once for each row, and not once for each word.
  return sql`exists (
    select from (
      select ${sql.raw(fold('given.texts'))} as texts, given.ids from (${rowTexts(isDistributed)} offset 0) as given offset 0
    ) as searched
    where ${sql.join(keywords.map(all), sql` or `)}
  )`;
}

/** The texts that people gave to an entry and to what it is linked to; and the ids of all these. */
const rowTexts = (isDistributed: boolean) => sql`
  select
    concat_ws(E'\\n', raw_name, source_name, sample_name, physical_sample_name, name,
      file_metadata ->> 'instrument_type', detail_note_content, array_to_string(tags, E'\\n'),
      (select string_agg(project ->> 'name', E'\\n') from json_array_elements(projects) as project),
      (select ${isDistributed ? sql`texts from names_apart as channels` : sql`${joinedNames} from channels`}
       where channels.data_id = entry.data_id)) as texts,
    concat(E'\\n', concat_ws(E'\\n', data_id, physical_sample_id, file_metadata ->> 'processed_data_id',
      (select string_agg(project ->> 'id', E'\\n') from json_array_elements(projects) as project))) as ids`;

const joinedNames = sql`string_agg(channel_name, E'\\n')`;

/** A common table expression: the names of the channels of some entries. A cluster reads them apart from the entries. */
export const namesApart = (organizationId: string, dataIds: readonly string[]) => sql`
  names_apart as materialized (
    select data_id, ${joinedNames} as texts from channels
    where organization_id = ${organizationId}::uuid and data_id = any(${dataIds}::uuid[]) group by data_id
  )`;
