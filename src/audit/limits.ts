/** What bounds the audit log: its pages, and how old entries are removed. */
export const auditLimits = {
  /** Entries of one page of the audit log at most. */
  entriesMax: 1_000,
  /** Entries of a page when the request does not say how many. */
  entriesUsual: 100,
  /** Entries of a file of the audit log that one statement reads. */
  entriesReadMax: 1_000,
  /** How often entries beyond AUDIT_KEEP_DAYS are looked for. */
  entrySweepMs: 3_600_000,
  /** Such entries that one statement removes. */
  entrySweepRowsMax: 5_000,
};

export type AuditLimits = Readonly<typeof auditLimits>;
