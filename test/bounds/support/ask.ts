import { Agent, type IncomingHttpHeaders, request } from 'node:http';

export interface Answer {
  /** 0 where none came; the body then says why. */
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  ms: number;
}

export interface Question {
  key?: string;
  /** Several are sent one after the other, so that bodies can share their large part. */
  body?: string | Buffer | readonly Buffer[];
  headers?: Record<string, string>;
  /** By default a connection of its own. */
  agent?: Agent;
  /** For the whole exchange; default 30,000, which is what the SDK gives. */
  answerMsMax?: number;
}

/** Sends one request as an ordinary client does, once. Never throws. */
export function ask(
  port: number,
  method: string,
  path: string,
  { key, body, headers, agent = new Agent(), answerMsMax = 30_000 }: Question = {},
): Promise<Answer> {
  const startedAt = performance.now();
  const parts = body === undefined ? [] : Array.isArray(body) ? (body as Buffer[]) : [Buffer.from(body as string)];
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return new Promise((resolve) => {
    const settle = (status: number, text: string, received: IncomingHttpHeaders = {}) => {
      clearTimeout(late);
      resolve({ status, body: text, headers: received, ms: performance.now() - startedAt });
    };
    const outgoing = request({
      ...{ host: '127.0.0.1', port, method, path, agent },
      headers: {
        ...(key !== undefined && { 'x-api-key': key }),
        ...(body !== undefined && { 'content-type': 'application/json', 'content-length': length }),
        ...headers,
      },
    });
    const late = setTimeout(() => outgoing.destroy(new Error(`no answer within ${answerMsMax} ms`)), answerMsMax);
    outgoing.once('error', (error) => settle(0, error.message));
    outgoing.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.once('error', (error) => settle(0, error.message));
      response.once('end', () => settle(response.statusCode as number, text, response.headers));
    });
    for (const part of parts) outgoing.write(part);
    outgoing.end();
  });
}

/** How many answers had which status, such as `12 × 201, 1 × 503`. */
export function countsOf(answers: readonly { status: number }[]): string {
  const counts = new Map<number, number>();
  for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${count.toLocaleString('en-US')} × ${status || 'none'}`).join(', ');
}
