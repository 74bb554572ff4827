/** What bounds the provisioning by one file. */
export const provisioningLimits = {
  /** Bytes of the file. */
  fileBytesMax: 1_048_576,
  /** Organizations, users, keys and projects of the file, all of them together: they are made in one transaction. */
  entriesMax: 10_000,
};

export type ProvisioningLimits = Readonly<typeof provisioningLimits>;
