/** How bodies are validated, on the event loop and beside it: nothing is coerced, left out or made up. */
export const ajvOptions = {
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: false,
  allErrors: false,
  allowUnionTypes: true,
} as const;
