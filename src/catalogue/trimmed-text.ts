import { invalid } from '../errors.ts';

/**
 * A text without leading and trailing white space.
 * @throws ApiError 422 with the name of `field` when nothing is left
 */
export function trimmedText(text: string, field: string): string {
  const trimmed = text.trim();
  if (trimmed === '') throw invalid(['body', field], `${field} must not be blank`, text);
  return trimmed;
}
