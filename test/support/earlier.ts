/**
 * SQL of a time that is earlier than that of a column. It needs no time zone of the session, so that a cluster takes it in an
 * update.
 * @param interval a parameter
 */
export const earlier = (column: string, interval = '$2::interval') =>
  `(${column} at time zone 'UTC' - ${interval}) at time zone 'UTC'`;
