/**
 * How bodies are validated, on the event loop and in worker threads: nothing is coerced, removed or filled in by
 * default.
 */
export const ajvOptions = {
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: false,
  allErrors: false,
  allowUnionTypes: true,
  // The schemas come from TypeBox, so they are valid. To check them Ajv would compile the meta-schema first: 50 ms at
  // each start and in each thread.
  validateSchema: false,
} as const;
