/*
 * PostgreSQL's error codes (SQLSTATE): five characters, of which the first two are the class. The names are those of PostgreSQL's manual
 * (appendix A), in camel case. No other file of src contains such a code.
 */

/** Codes of one error each. */
export const sqlstates = {
  divisionByZero: '22012',
  invalidParameterValue: '22023',
  foreignKeyViolation: '23503',
  uniqueViolation: '23505',
  readOnlySqlTransaction: '25006',
  invalidPassword: '28P01',
  dependentObjectsStillExist: '2BP01',
  invalidCatalogName: '3D000',
  deadlockDetected: '40P01',
  insufficientPrivilege: '42501',
  duplicateObject: '42710',
  undefinedTable: '42P01',
  diskFull: '53100',
  tooManyConnections: '53300',
  lockNotAvailable: '55P03',
  queryCanceled: '57014',
  cannotConnectNow: '57P03',
  internalError: 'XX000',
} as const;

/** Beginnings of codes, for errors that are handled alike. */
export const sqlstateClasses = {
  connectionException: '08',
  invalidAuthorizationSpecification: '28',
  /** The database of the connection does not exist. */
  invalidCatalogName: '3D',
  transactionRollback: '40',
  insufficientResources: '53',
  /** 57P01 to 57P05: PostgreSQL ends the session, or takes none because it starts or stops. */
  sessionEnd: '57P0',
  systemError: '58',
  internalError: 'XX',
} as const;

export type Sqlstate = (typeof sqlstates)[keyof typeof sqlstates];
export type SqlstateClass = (typeof sqlstateClasses)[keyof typeof sqlstateClasses];

/**
 * Whether an error has one of these codes, or a code of one of these classes. Only `code` is looked at: errors that this server makes in
 * PostgreSQL's place carry its code too, and no code of other errors, such as ENOENT, begins like one of these.
 */
export function hasSqlstate(error: unknown, ...states: readonly (Sqlstate | SqlstateClass)[]): boolean {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && states.some((state) => code.startsWith(state));
}
