/** How bodies are validated, on the event loop and beside it: nothing is coerced, left out or made up. */
export const ajvOptions = {
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: false,
  allErrors: false,
  allowUnionTypes: true,
  // They come from TypeBox. Ajv would compile the schema of schemas first, at each start and in each thread: 50 ms.
  validateSchema: false,
} as const;
