/**
 * Reads the weights of a header such as Accept or Accept-Encoding (`q=`).
 * @returns a function from a name to its weight, from 0 (refused) to 1; undefined for a name that the header does not
 * contain
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

/** Whether a client prefers HTML, as browsers do. A program that accepts anything does not. */
export function wantsPage(accept: string | undefined): boolean {
  const weightOf = weightsOf(accept);
  const page = weightOf('text/html') ?? 0;
  return page > 0 && page >= (weightOf('application/json') ?? 0);
}
