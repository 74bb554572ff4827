import { request } from 'node:http';

export interface BrowserAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  bytes: Buffer;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  json: any;
}

/** Sends one request over a socket, with exactly these headers: no client adds some that a browser would not. */
export function ask(
  port: number,
  method: string,
  path: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: unknown } = {},
): Promise<BrowserAnswer> {
  const payload = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
  const ofBody =
    payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers: { ...ofBody, ...headers } }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('error', reject);
      answer.on('end', () => {
        const bytes = Buffer.concat(parts);
        const text = bytes.toString('utf8');
        const isJson = /json/.test(answer.headers['content-type'] ?? '') && text !== '';
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          bytes,
          text,
          json: isJson && JSON.parse(text),
        });
      });
    });
    sent.on('error', reject);
    sent.end(payload);
  });
}

/** What a browser keeps of Set-Cookie and sends as Cookie: `name=value`. */
export function cookieOf({ headers }: Pick<BrowserAnswer, 'headers'>): string {
  return String(headers['set-cookie']).split(';')[0] as string;
}
