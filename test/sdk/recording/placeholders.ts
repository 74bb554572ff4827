import type { Exchange } from './transcript.ts';

const uuids = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const times = /"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"/g;
// The readings of the recorded acquisition lie in November 2023: these times are data.
const ofReadings = /^"2023-11-1/;
const kinds: Readonly<Record<string, string>> = { physical_samples: 'sample', tags: 'tag', projects: 'project' };

/**
 * Replaces what differs from run to run: each id by what it names and a number (`<data-1>`, `<sample-1>`), times of
 * this server by `<time>`, the platform in a User-Agent, and counts that depend on which of two chunks came first.
 * The same id has the same placeholder in all exchanges that go through one function.
 */
export function withPlaceholders(): (exchange: Exchange, step: string) => Exchange {
  const names = new Map<string, string>();
  const numbers = new Map<string, number>();
  const nameFor = (kind: string, id: string) => {
    if (names.has(id)) return;
    const number = (numbers.get(kind) ?? 0) + 1;
    numbers.set(kind, number);
    names.set(id, `<${kind}-${number}>`);
  };
  const replaced = (text: string) =>
    text
      .replaceAll(uuids, (id) => names.get(id) ?? '<unknown>')
      .replaceAll(/("synth_source_id":\s*)(\d+)/g, (_, key, id) => `${key}"${names.get(`instrument ${id}`)}"`)
      .replaceAll(/(synthesis_instrument_ids=)(\d+)/g, (_, key, id) => `${key}${names.get(`instrument ${id}`)}`)
      .replaceAll(times, (time) => (ofReadings.test(time) ? time : '"<time>"'));
  const answered = (exchange: Exchange) =>
    exchange.path.includes('synthesis_instrument_ids=')
      ? exchange.answer.replaceAll(/\d+/g, (id) => `"${names.get(`instrument ${id}`)}"`)
      : replaced(exchange.answer);
  return (exchange, step) => {
    nameIds(parsed(exchange.answer), exchange.path, nameFor);
    const { method, body, status } = exchange;
    const counted = (text: string) => (step === 'run' ? text.replaceAll(/("total_points":)\d+/g, '$1"<count>"') : text);
    return {
      method,
      path: replaced(exchange.path),
      headers: withoutPlatform(exchange.headers),
      ...(body === undefined ? {} : { body: replaced(body) }),
      status,
      answer: counted(answered(exchange)),
    };
  };
}

function nameIds(value: unknown, path: string, nameFor: (kind: string, id: string) => void): void {
  if (Array.isArray(value)) for (const one of value) nameIds(one, path, nameFor);
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'synth_source_id' && typeof inner === 'number') nameFor('instrument', `instrument ${inner}`);
    else if (typeof inner === 'string' && new RegExp(`^${uuids.source}$`).test(inner))
      nameFor(kindOf(key, path), inner);
    // Rows of other things bring their projects along under one name.
    else nameIds(inner, key === 'projects' ? '/projects/' : path, nameFor);
  }
}

function kindOf(key: string, path: string): string {
  if (key !== 'id')
    return key
      .replace(/^physical_/, '')
      .replace(/^owner_id$/, 'user_id')
      .replace(/_id$/, '');
  const room = path
    .split('/')
    .filter((part) => part in kinds)
    .at(-1);
  return kinds[room ?? ''] ?? 'id';
}

function withoutPlatform(headers: Exchange['headers']): Exchange['headers'] {
  const { 'user-agent': agent, ...others } = headers;
  return agent === undefined ? headers : { ...others, 'user-agent': agent.replace(/ \(.*\)/, ' (<platform>)') };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
