/*
 * What PostgreSQL calls its errors: codes of five characters, of which the first two are a class. Names are those of its manual
 * (appendix A), in camel case. No other file of src writes such a code down.
 */

/** One error each. */
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

/** Errors that are answered alike: their codes begin like this. */
export const sqlstateClasses = {
  connectionException: '08',
  invalidAuthorizationSpecification: '28',
  /** The database that is connected to is not there. */
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
 * Whether an error has one of these codes, or one of these classes. An error of this server that stands for one of PostgreSQL's
 * carries its code too, so nothing else is asked of it; the codes of other errors, such as ENOENT, begin like none of these.
 */
export function hasSqlstate(error: unknown, ...states: readonly (Sqlstate | SqlstateClass)[]): boolean {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && states.some((state) => code.startsWith(state));
}
