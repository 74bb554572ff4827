import { invalid } from '../errors.ts';

/**
 * Bytes (UTF-8) of a name in lower case: what one entry of the unique indexes on names has room for (2,704 bytes, less
 * the organization's id and the headers). Only names of more than 650 characters can come near it.
 */
export const nameBytesMax = 2_600;

/**
 * A text without the white space around it.
 * @throws ApiError 422 that names `field` when nothing is left.
 */
export function trimmedText(text: string, field: string): string {
  const trimmed = text.trim();
  if (trimmed === '') throw invalid(['body', field], `${field} must not be blank`, text);
  return trimmed;
}

/**
 * A name of which an organization has one: trimmed, as the SDK compares it.
 * @throws ApiError 422 when it is blank, or too long for the index that keeps it unique.
 */
export function uniqueName(text: string, field = 'name'): string {
  const name = trimmedText(text, field);
  if (Buffer.byteLength(name.toLowerCase()) > nameBytesMax) {
    throw invalid(['body', field], `${field} must not be longer than ${nameBytesMax} bytes in UTF-8`, name);
  }
  return name;
}
