/** Which channels of a run are drawn, and how. Names are those of channels. */
export interface Shown {
  hidden: string[];
  /** Channels that share a plot, a list for each such plot. */
  together: string[][];
  /** Channels with a logarithmic axis. */
  log: string[];
}

/** Channels of one plot. */
export interface Panel {
  channels: string[];
  log: boolean;
}

/**
 * The plots from top to bottom: one a channel, but those that are put together share the place of the first of them.
 * @param names all channels, in their order
 */
export function panelsOf(names: readonly string[], { hidden, together, log }: Shown): Panel[] {
  const [hiddenNames, logNames] = [new Set(hidden), new Set(log)];
  const placed = new Set<string>();
  const panels: Panel[] = [];
  for (const name of names) {
    if (hiddenNames.has(name) || placed.has(name)) continue;
    const mates = together.find((group) => group.includes(name)) ?? [name];
    const channels = names.filter((other) => mates.includes(other) && !hiddenNames.has(other) && !placed.has(other));
    for (const channel of channels) placed.add(channel);
    panels.push({ channels, log: channels.some((channel) => logNames.has(channel)) });
  }
  return panels;
}

/** Puts a channel into the plot of another one, or into one of its own where `mate` is undefined. */
export function putTogether(shown: Shown, name: string, mate: string | undefined): Shown {
  const rest = shown.together.map((group) => group.filter((other) => other !== name));
  if (mate === undefined) return { ...shown, together: rest.filter((group) => group.length > 1) };
  const place = rest.findIndex((group) => group.includes(mate));
  if (place < 0) rest.push([mate, name]);
  else rest[place] = [...(rest[place] as string[]), name];
  return { ...shown, together: rest.filter((group) => group.length > 1) };
}

/** Names go into an address as JSON, since a channel may have any character in its name. */
export function shownOf(params: URLSearchParams): Shown {
  return {
    hidden: params.getAll('hide'),
    together: params
      .getAll('together')
      .map(listOf)
      .filter((group) => group.length > 1),
    log: params.getAll('log'),
  };
}

export function writeShown(params: URLSearchParams, { hidden, together, log }: Shown): void {
  for (const name of hidden) params.append('hide', name);
  for (const group of together) params.append('together', JSON.stringify(group));
  for (const name of log) params.append('log', name);
}

function listOf(text: string): string[] {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list.filter((name) => typeof name === 'string') : [];
  } catch {
    return [];
  }
}

/** A list with a name added or taken away. */
export const toggled = (list: readonly string[], name: string): string[] =>
  list.includes(name) ? list.filter((other) => other !== name) : [...list, name];
