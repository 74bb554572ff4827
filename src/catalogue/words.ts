/** Keywords of a search: what they are made of. Each list says where it looks for them. */
import type { Fold } from '../database/folding.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';

/** Keywords as a search looks for them, and how the texts that it looks into are folded. */
export interface Words {
  /** The folded words of each keyword; a blank keyword, which comes from an empty search field, is left out. */
  keywords: string[][];
  fold: Fold;
}

/** The words of keywords, each once. @returns undefined when all of them are blank */
export async function wordsOf(
  organization: OrganizationDatabase,
  keywords: readonly string[],
): Promise<Words | undefined> {
  if (keywords.every((keyword) => keyword.trim() === '')) return undefined;
  const folded = await foldedTexts(organization, keywords);
  const found = folded.map((text) => [...new Set(text.split(space).filter((word) => word !== ''))]);
  const kept = found.filter((words) => words.length > 0);
  return kept.length === 0 ? undefined : { keywords: kept, fold: await organization.folding() };
}

/** Texts as they are compared, in their order. */
export async function foldedTexts(organization: OrganizationDatabase, texts: readonly string[]): Promise<string[]> {
  const fold = await organization.folding();
  const { rows } = await organization.pool.query<{ text: string }>(
    `select ${fold('given.text')} as text from unnest($1::text[]) with ordinality as given (text, position)
     order by position`,
    [texts],
  );
  return rows.map(({ text }) => text);
}

const space = /\s+/;

/** Whether a word may be the beginning of an id. Fewer characters are in some id of every hundredth entry, where nobody sees them. */
export const mayBeginId = (word: string) => /^[0-9a-f-]{8,36}$/.test(word);
