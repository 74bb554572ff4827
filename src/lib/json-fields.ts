/** The names of a schema of an object. Another one does not compile. */
type Fields<Properties, Text> = Readonly<Record<keyof Properties & string, Text>>;

/**
 * What an answer that is written by hand has before the value of each field: `{"first":` for the first one of the schema,
 * `,"other":` for all others. So the first one is written first, and names are those of the schema, in JSON.
 */
export function fieldTexts<Properties extends object>(schema: { properties: Properties }): Fields<Properties, string> {
  const names = Object.keys(schema.properties);
  const texts = names.map((name, i) => [name, `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`]);
  return Object.fromEntries(texts);
}

/** The same as bytes, which a `JsonWriter` has only to copy. */
export function fieldBytes<Properties extends object>(schema: { properties: Properties }): Fields<Properties, Buffer> {
  const texts = Object.entries<string>(fieldTexts(schema));
  return Object.fromEntries(texts.map(([name, text]) => [name, Buffer.from(text)])) as Fields<Properties, Buffer>;
}
