/**
 * SQL: whether a row of `api_keys` is a valid key, neither revoked nor expired.
 * @param alias of the table in the statement
 */
export const isValidKey = (alias = 'api_keys'): string =>
  `${alias}.revoked_at is null and (${alias}.expires_at is null or ${alias}.expires_at > now())`;
