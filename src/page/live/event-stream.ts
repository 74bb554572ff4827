/** One event of a `text/event-stream`. */
export interface StreamEvent {
  id: string;
  name: string;
  data: string;
}

export interface EventStreamReader {
  /** @returns the events that this piece of text completes */
  add(text: string): StreamEvent[];
  /** How long the server last asked clients to wait before they connect again. */
  retryMs(): number | undefined;
}

/**
 * Parses `text/event-stream` as the HTML standard says. The page does not use EventSource, since that hides heartbeats,
 * which show that the connection is alive.
 */
export function readEventStream(): EventStreamReader {
  let rest = '';
  let retry: number | undefined;
  let id = '';
  let name = '';
  let data: string[] = [];
  const take = (line: string): StreamEvent | undefined => {
    if (line === '') {
      const event = data.length === 0 ? undefined : { id, name: name || 'message', data: data.join('\n') };
      [name, data] = ['', []];
      return event;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    else if (field === 'event') name = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) retry = Number(value);
    return undefined;
  };
  return {
    add(text) {
      const events: StreamEvent[] = [];
      rest += text;
      // A CR at the end of the text is left for the next piece: it may be the first half of CR LF.
      for (let match = lineEnd.exec(rest); match !== null; match = lineEnd.exec(rest)) {
        const event = take(rest.slice(0, match.index));
        if (event !== undefined) events.push(event);
        rest = rest.slice(match.index + match[0].length);
      }
      return events;
    },
    retryMs: () => retry,
  };
}

const lineEnd = /\r\n|\n|\r(?!$)/;
