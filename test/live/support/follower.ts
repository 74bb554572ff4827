import http from 'node:http';

export interface LiveEvent {
  id: string | undefined;
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into events of every shape.
  data: any;
}

/** A client that follows, over a socket of its own, as EventSource does. */
export interface Follower {
  status: number;
  headers: http.IncomingHttpHeaders;
  /** All that has come, in order. */
  events: LiveEvent[];
  /** The text as it came, comments and retries too. */
  text(): string;
  /** Waits until the events pass. @returns what `find` returned */
  until<Found>(find: (events: LiveEvent[]) => Found | undefined | false, msMax?: number): Promise<Found>;
  /** Waits until the server has ended it. @returns whether that was in order */
  ended(msMax?: number): Promise<boolean>;
  /** Leaves. */
  leave(): void;
  /** Reads nothing any more. */
  pause(): void;
  response: http.IncomingMessage;
}

const waitMs = 40_000;

export async function follow(
  port: number,
  path: string,
  key: string,
  headers: Record<string, string> = {},
): Promise<Follower> {
  const agent = new http.Agent();
  const request = http.get({ port, host: '127.0.0.1', path, agent, headers: { 'x-api-key': key, ...headers } });
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('response', resolve).once('error', reject);
  });
  let text = '';
  let end: boolean | undefined;
  const events: LiveEvent[] = [];
  let parsed = 0;
  response.setEncoding('utf8');
  response.on('data', (piece: string) => {
    text += piece;
    for (let at = text.indexOf('\n\n', parsed); at >= 0; at = text.indexOf('\n\n', parsed)) {
      const event = parse(text.slice(parsed, at));
      parsed = at + 2;
      if (event !== undefined) events.push(event);
    }
  });
  response.on('end', () => {
    end ??= true;
  });
  response.on('error', () => {
    end ??= false;
  });
  response.on('close', () => {
    end ??= false;
  });
  return {
    status: response.statusCode as number,
    headers: response.headers,
    events,
    text: () => text,
    until: (find, msMax = waitMs) =>
      poll(
        () => find(events) || undefined,
        msMax,
        () => text,
      ),
    ended: (msMax = waitMs) =>
      poll(
        () => end,
        msMax,
        () => text,
      ),
    leave: () => request.destroy(),
    pause: () => void response.pause(),
    response,
  };
}

function parse(block: string): LiveEvent | undefined {
  const fields = new Map(
    block.split('\n').map((line) => {
      const at = line.indexOf(':');
      return [line.slice(0, at), line.slice(at + 1).replace(/^ /, '')] as const;
    }),
  );
  const data = fields.get('data');
  if (data === undefined) return undefined;
  return { id: fields.get('id'), event: fields.get('event') ?? 'message', data: JSON.parse(data) };
}

/** Asks until there is something. @throws with `about`, when it takes too long */
export async function poll<Found>(
  find: () => Found | undefined | Promise<Found | undefined>,
  msMax = waitMs,
  about: () => unknown = () => '',
): Promise<Found> {
  const until = performance.now() + msMax;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() > until) throw new Error(`nothing within ${msMax} ms; ${String(about()).slice(-2_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
