/** Bounds of the provisioning file. */
export const provisioningLimits = {
  /** Bytes of the file. */
  fileBytesMax: 1_048_576,
  /** Organizations, users, keys and projects in the file together: they are created in one transaction. */
  entriesMax: 10_000,
};

export type ProvisioningLimits = Readonly<typeof provisioningLimits>;
