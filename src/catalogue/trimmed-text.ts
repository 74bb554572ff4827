import { invalid } from '../errors.ts';

/**
 * A text without the white space around it.
 * @throws ApiError 422 that names `field` when nothing is left.
 */
export function trimmedText(text: string, field: string): string {
  const trimmed = text.trim();
  if (trimmed === '') throw invalid(['body', field], `${field} must not be blank`, text);
  return trimmed;
}
