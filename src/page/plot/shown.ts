/** Which channels of a run are drawn, and how. All strings are channel names. */
export interface Shown {
  hidden: string[];
  /** One list for each plot that several channels share. */
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
 * The plots from top to bottom: one for each channel. Channels that share a plot stand where the first of them would.
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

/** Moves a channel into the plot of `mate`, or into a plot of its own when that is undefined. */
export function putTogether(shown: Shown, name: string, mate: string | undefined): Shown {
  const rest = shown.together.map((group) => group.filter((other) => other !== name));
  if (mate === undefined) return { ...shown, together: rest.filter((group) => group.length > 1) };
  const place = rest.findIndex((group) => group.includes(mate));
  if (place < 0) rest.push([mate, name]);
  else rest[place] = [...(rest[place] as string[]), name];
  return { ...shown, together: rest.filter((group) => group.length > 1) };
}

/** Lists of names are JSON in the address, since a name may contain any character. */
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

/** The list without the name if it was there, otherwise with it. */
export const toggled = (list: readonly string[], name: string): string[] =>
  list.includes(name) ? list.filter((other) => other !== name) : [...list, name];
