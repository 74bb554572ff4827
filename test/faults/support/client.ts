import { Agent, type IncomingHttpHeaders, request } from 'node:http';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  ms: number;
}

/** An HTTP client over real sockets, for one key. It tries nothing twice. */
export interface Client {
  /** @throws when no whole answer comes, with what the socket says */
  send(method: string, path: string, body?: string): Promise<Answer>;
  close(): void;
}

export interface ClientOptions {
  /** Asked before each request, since a restart may change it. */
  endpoint: () => string;
  key: string;
  /** Uses connections again. Default true. */
  keepAlive?: boolean;
  /** For the whole exchange; default 30,000, which is what the SDK gives. */
  answerMsMax?: number;
}

export function createClient({ endpoint, key, keepAlive = true, answerMsMax = 30_000 }: ClientOptions): Client {
  const agent = new Agent({ keepAlive });
  return {
    send(method, path, body) {
      const startedAt = performance.now();
      return new Promise((resolve, reject) => {
        const sent = request(new URL(path, endpoint()), {
          method,
          agent,
          headers: {
            'x-api-key': key,
            ...(body !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(body),
            }),
          },
        });
        const late = setTimeout(() => sent.destroy(new Error(`no answer within ${answerMsMax} ms`)), answerMsMax);
        const fail = (error: Error) => {
          clearTimeout(late);
          reject(error);
        };
        sent.once('error', fail);
        sent.once('response', (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.once('error', fail);
          response.once('end', () => {
            clearTimeout(late);
            resolve({
              status: response.statusCode as number,
              headers: response.headers,
              body: Buffer.concat(pieces).toString('utf8'),
              ms: performance.now() - startedAt,
            });
          });
        });
        sent.end(body);
      });
    },
    close: () => agent.destroy(),
  };
}
