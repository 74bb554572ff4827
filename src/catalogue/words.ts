/** How the keywords of a search are split and folded. Each list decides where it looks for them. */
import type { Fold } from '../database/folding.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';

/** The folded keywords of a search, and the folding for the texts that are searched. */
export interface Words {
  /** The folded words of each keyword. Blank keywords, which come from empty search fields, are left out. */
  keywords: string[][];
  fold: Fold;
}

/** Splits keywords into folded words, without duplicates. @returns undefined if all keywords are blank */
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

/** Folds texts for comparison; the order is kept. */
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

/**
 * Whether a word may be the beginning of an id. Shorter words would match ids of every hundredth entry by chance, and a
 * person would not see why.
 */
export const mayBeginId = (word: string) => /^[0-9a-f-]{8,36}$/.test(word);
