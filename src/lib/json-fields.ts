/** One text for each field of the schema of an object. A name that the schema does not have does not compile. */
type Fields<Properties, Text> = Readonly<Record<keyof Properties & string, Text>>;

/**
 * The texts that stand before the values of an object in JSON, for answers that are written by hand: `{"first":` for the first field of
 * the schema, `,"other":` for all others. So a writer must begin with the first field. The names come from the schema.
 */
export function fieldTexts<Properties extends object>(schema: { properties: Properties }): Fields<Properties, string> {
  const names = Object.keys(schema.properties);
  const texts = names.map((name, i) => [name, `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`]);
  return Object.fromEntries(texts);
}

/** The same as bytes, which a `JsonWriter` only copies. */
export function fieldBytes<Properties extends object>(schema: { properties: Properties }): Fields<Properties, Buffer> {
  const texts = Object.entries<string>(fieldTexts(schema));
  return Object.fromEntries(texts.map(([name, text]) => [name, Buffer.from(text)])) as Fields<Properties, Buffer>;
}
