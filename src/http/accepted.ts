/**
 * How much a client wants each of some things, by a header such as Accept or Accept-Encoding.
 * @returns of a thing its weight from 0, not wanted, to 1; undefined when the header does not name it
 */
export function weightsOf(header: string | undefined): (name: string) => number | undefined {
  const weights = new Map<string, number>();
  for (const part of (header ?? '').split(',')) {
    const [name = '', ...parameters] = part.split(';').map((one) => one.trim().toLowerCase());
    const weight = parameters.map((one) => /^q=([01](?:\.\d{0,3})?)$/.exec(one)?.[1]).find((q) => q !== undefined);
    if (name !== '') weights.set(name, Math.min(1, Number(weight ?? 1)));
  }
  return (name) => weights.get(name);
}

/** Whether a client is a browser that wants a page, rather than a program that takes anything. */
export function wantsPage(accept: string | undefined): boolean {
  const weightOf = weightsOf(accept);
  const page = weightOf('text/html') ?? 0;
  return page > 0 && page >= (weightOf('application/json') ?? 0);
}
