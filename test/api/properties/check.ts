import type { TestServer } from '../../support/test-server.ts';
import { faultsOf, type Operation } from './document.ts';
import { type ApiRequest, payloadOf, urlOf } from './requests.ts';

/** Sends a request. @returns the status, and what the document says otherwise, empty when nothing, with both texts */
export async function sendAndCheck(
  server: TestServer,
  operation: Operation,
  request: ApiRequest,
): Promise<{ status: number; wrong: string }> {
  const url = urlOf(operation, request);
  const payload = payloadOf(request);
  const key = { unknown: 'msk_unknown', none: undefined, ada: server.keys.ada, rival: server.keys.rival }[request.key];
  const {
    statusCode: status,
    headers,
    rawPayload,
  } = await server.app.inject({
    method: operation.method as 'GET',
    url,
    headers: {
      ...(key !== undefined && { 'x-api-key': key }),
      ...(request.contentType !== undefined && { 'content-type': request.contentType }),
    },
    ...(payload !== undefined && { payload }),
  });
  const wrong = wrongIn(operation, status, String(headers['content-type'] ?? ''), rawPayload) || wronglyTaken();
  if (wrong === '') return { status, wrong };
  const sent = `${operation.method} ${url} as ${request.key}, ${request.contentType}: ${payload}`;
  const answer = `${status} ${clip(rawPayload.toString())}`;
  return { status, wrong: `${wrong}\n  request: ${clip(sent)}\n  answer: ${answer}` };

  function wronglyTaken(): string {
    if (status >= 300) return '';
    if (!operation.isOpen && !['ada', 'rival'].includes(request.key)) return 'answered without a key';
    if (operation.body === undefined) return '';
    const faults = faultsOfBody(operation.body, payload);
    return faults === '' ? '' : `taken, though the schema forbids it: ${faults}`;
  }
}

function wrongIn(operation: Operation, status: number, contentType: string, payload: Buffer): string {
  if (status >= 500) return 'the server failed';
  const answers = operation.answers.get(status);
  if (answers === undefined) return `status ${status} is not documented`;
  if (answers.size === 0 && contentType === '' && payload.length === 0) return '';
  const mediaType = contentType.replace(/;.*$/, '').trim();
  const schema = answers.get(mediaType);
  if (schema === undefined) return `content type ${contentType} is not documented for ${status}`;
  if (mediaType !== 'application/json') return '';
  const faults = faultsOfBody(schema, payload);
  return faults === '' ? '' : `the answer is not as documented: ${faults}`;
}

function faultsOfBody(schema: Parameters<typeof faultsOf>[0], payload: string | Buffer | undefined): string {
  let value: unknown;
  try {
    value = JSON.parse(String(payload));
  } catch {
    return 'it is no JSON';
  }
  return faultsOf(schema, value);
}

const lengthMax = 1_500;
const clip = (text: string) => (text.length > lengthMax ? `${text.slice(0, lengthMax)}… (${text.length})` : text);
