/** What bounds the audit log: its pages, and how old entries are removed. */
export const auditLimits = {
  /** Entries of one page of the audit log at most. */
  entriesMax: 1_000,
  /** Entries of a page when the request does not say how many. */
  entriesUsual: 100,
  /** Entries that one statement reads for a file of the audit log. */
  entriesReadMax: 1_000,
  /** How often the server looks for entries that are older than AUDIT_KEEP_DAYS, and removes them. */
  entrySweepMs: 3_600_000,
  /** Such entries that one statement removes. */
  entrySweepRowsMax: 5_000,
};

export type AuditLimits = Readonly<typeof auditLimits>;
