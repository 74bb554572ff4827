import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** Local port of the connection: tells connections apart. */
  clientPort: number;
}

export interface Ask {
  method?: string;
  /** Sent as it is, double slashes and all. */
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** Milliseconds between the head and the body, so that they come in two packets. */
  bodyAfterMs?: number;
}

export interface Caller {
  /** Sends and reads the whole answer. Rejects when the connection breaks, or the answer ends before it is complete. */
  send(ask: Ask): Promise<Answer>;
  /** Sends and comes back with the head of the answer. */
  open(ask: Ask): Promise<IncomingMessage>;
  close(): void;
}

const answerMsMax = 45_000;

/** A client of one port on loopback that keeps connections and follows no redirect. */
export function caller(port: number, { key, ca }: { key?: string; ca?: string } = {}): Caller {
  const options = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY };
  const agent = ca === undefined ? new HttpAgent(options) : new HttpsAgent({ ...options, ca: readFileSync(ca) });
  const request = ca === undefined ? httpRequest : httpsRequest;
  const open = ({ method, path, body, headers, bodyAfterMs }: Ask) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const payload = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
      const sent = request(
        {
          host: '127.0.0.1',
          port,
          agent,
          path,
          method: method ?? (body === undefined ? 'GET' : 'POST'),
          headers: {
            ...(key !== undefined && { 'x-api-key': key }),
            ...(payload !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(payload),
            }),
            ...headers,
          },
        },
        resolve,
      );
      sent.setTimeout(answerMsMax, () => sent.destroy(new Error(`no answer within ${answerMsMax} ms`)));
      sent.on('error', reject);
      if (bodyAfterMs === undefined) {
        sent.end(payload);
        return;
      }
      sent.flushHeaders();
      setTimeout(() => sent.end(payload), bodyAfterMs);
    });
  return {
    open,
    async send(ask) {
      const message = await open(ask);
      const clientPort = message.socket.localPort ?? 0;
      const text = await readWhole(message);
      return { status: message.statusCode ?? 0, headers: message.headers, text, clientPort };
    },
    close: () => agent.destroy(),
  };
}

/** @throws when the connection ends before the answer is complete */
export async function readWhole(message: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  if (!message.complete) throw new Error('the answer was cut');
  return Buffer.concat(parts).toString('utf8');
}
