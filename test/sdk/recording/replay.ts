import { type IncomingMessage, request } from 'node:http';
import type { Exchange, Transcript } from './transcript.ts';

const answerMsMax = 15_000;
const placeholder = /<[a-z_]+-\d+>/g;

/**
 * Sends again what a release sent, call by call as it stands in its transcript, and compares each answer with the one
 * that is kept: the status, every field and its type, every value but ids, times and counts, which have to be of their
 * kind. An id that an answer gives is used in the calls behind it.
 * @returns What differs, a sentence each; nothing when all is equal.
 */
export async function replay(transcript: Transcript, server: { port: number; key: string }): Promise<string[]> {
  const ids = new Map<string, string>();
  const differences: string[] = [];
  for (const { step, exchanges } of transcript.steps) {
    for (const exchange of exchanges) {
      const answer = await send(exchange, ids, server);
      const found = answer.status === exchange.status ? [] : [`status ${answer.status} instead of ${exchange.status}`];
      // The server knows all that the SDK sends.
      if (answer.ignored !== undefined) found.push(`ignored: ${answer.ignored}`);
      compare(parsed(exchange.answer), parsed(answer.text), ids, 'answer', found);
      differences.push(...found.map((one) => `${step}: ${exchange.method} ${exchange.path}: ${one}`));
    }
  }
  return differences;
}

/** The request line and headers as recorded: no slash is cleaned away, no header is added that the SDK does not send. */
function send(exchange: Exchange, ids: Map<string, string>, server: { port: number; key: string }) {
  const filled = (text: string) => text.replaceAll(placeholder, (name) => ids.get(name) ?? name);
  const body = filled((exchange.body ?? '').replaceAll(/"(<instrument-\d+>)"/g, '$1'));
  const { 'content-length': length, 'x-api-key': key, ...headers } = exchange.headers;
  return new Promise<{ status: number; text: string; ignored: string | undefined }>((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: server.port,
        method: exchange.method,
        path: filled(exchange.path),
        headers: {
          ...headers,
          ...(key === undefined ? {} : { 'x-api-key': server.key }),
          ...(length === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
        },
        timeout: answerMsMax,
      },
      (answer) => {
        const { statusCode: status = 0, headers } = answer;
        const ignored = headers.ignored as string | undefined;
        textOf(answer).then((text) => resolve({ status, text, ignored }), reject);
      },
    );
    if (length === undefined) for (const name of ['content-length', 'transfer-encoding']) sent.removeHeader(name);
    sent.on('timeout', () => sent.destroy(new Error(`no answer to ${exchange.method} ${exchange.path}`)));
    sent.on('error', reject);
    sent.end(body);
  });
}

function compare(kept: unknown, got: unknown, ids: Map<string, string>, place: string, found: string[]): void {
  if (typeof kept === 'string' && kept.startsWith('<')) {
    if (!isOfKind(kept, got, ids)) found.push(`${place} is ${JSON.stringify(got)} instead of ${kept}`);
  } else if (Array.isArray(kept) && Array.isArray(got)) {
    if (kept.length !== got.length) found.push(`${place} has ${got.length} elements instead of ${kept.length}`);
    for (const [index, one] of kept.entries()) compare(one, got[index], ids, `${place}[${index}]`, found);
  } else if (isObject(kept) && isObject(got)) {
    const [keptKeys, gotKeys] = [Object.keys(kept).sort().join(), Object.keys(got).sort().join()];
    if (keptKeys !== gotKeys) found.push(`${place} has the fields ${gotKeys} instead of ${keptKeys}`);
    for (const [key, one] of Object.entries(kept)) compare(one, got[key], ids, `${place}.${key}`, found);
  } else if (!Object.is(kept, filledIn(kept, got, ids))) {
    found.push(`${place} is ${JSON.stringify(got)} instead of ${JSON.stringify(kept)}`);
  }
}

/** A time, a count, or an id: the first answer with an id says which it is, all others have to say the same. */
function isOfKind(kept: string, got: unknown, ids: Map<string, string>): boolean {
  if (kept === '<time>') return typeof got === 'string' && !Number.isNaN(Date.parse(got));
  if (kept === '<count>') return Number.isSafeInteger(got);
  if (kept.startsWith('<instrument-') ? !Number.isSafeInteger(got) : typeof got !== 'string') return false;
  if (!ids.has(kept)) ids.set(kept, String(got));
  return ids.get(kept) === String(got);
}

/** A text of which ids are a part, with the kept names in place of what this run calls them. */
function filledIn(kept: unknown, got: unknown, ids: Map<string, string>): unknown {
  if (typeof kept !== 'string' || typeof got !== 'string') return got;
  return [...ids].reduce((text, [name, id]) => (kept.includes(name) ? text.replaceAll(id, name) : text), got);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

/** The parsed body; one that is no JSON as it is, so that it is compared as text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
