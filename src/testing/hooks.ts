import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { gunzipSync } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { apiKeyHint } from '../auth/api-key.ts';
import type { App } from '../http/app-type.ts';
import { type Facts, factsOf, pathOf } from './facts.ts';
import type { Faults, Hit } from './faults.ts';
import type { Journal, JournalRecord } from './journal.ts';
import { spoilAnswer, spoilRequest } from './spoil.ts';

/** The prefix of the routes that control the test mode. Requests to them are not recorded, and not subject to faults. */
export const controlPrefix = '/_test';

interface Watched {
  journal: Journal;
  faults: Faults;
  /** The server's time, in milliseconds of Unix time. */
  now(): number;
  /** Longest body that is recorded, in bytes. */
  bodyBytesMax: number;
}

/** A request that is being handled. */
interface Underway extends JournalRecord {
  /** The body, in the pieces that have arrived. */
  parts: Buffer[];
  isBodyNoted: boolean;
  /** Whether the rules for `before` have been tried. */
  isJudged: boolean;
}

export interface RequestWatch {
  /** Begins to record a request, before anything else sees it. */
  begin(request: IncomingMessage, response: ServerResponse): void;
}

/** Records every request, and applies the fault rules to it. Must be called before routes are added. */
export function watchRequests(app: App, { journal, faults, now, bodyBytesMax }: Watched): RequestWatch {
  const records = new WeakMap<IncomingMessage, Underway>();
  /** The rule that hits the request before it is carried out, if any. */
  const judge = (record: Underway, request: FastifyRequest): Hit | undefined => {
    record.isJudged = true;
    noteBody(record, bodyBytesMax);
    noteFacts(record, request);
    const hit = faults.take('before', record.facts);
    if (hit !== undefined) record.entry.fault = hit;
    journal.show(record);
    return hit;
  };

  app.addHook('preValidation', async (request, reply) => {
    const record = records.get(request.raw);
    const hit = record && judge(record, request);
    if (hit !== undefined && !(await spoilRequest(hit, request, reply))) return reply;
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const record = records.get(request.raw);
    if (record === undefined) return payload;
    if (!record.isJudged) {
      // It was refused before it reached the hook above, for example a chunk with invalid content. Nothing of it was
      // carried out either.
      const hit = judge(record, request);
      if (hit !== undefined) return spoilAnswer(hit, request, reply, payload);
    }
    if (!isSuccess(reply) || record.entry.fault !== null) return payload;
    const hit = faults.take('after_commit', record.facts);
    if (hit === undefined) return payload;
    record.entry.fault = hit;
    return spoilAnswer(hit, request, reply, payload);
  });

  return {
    begin(request, response) {
      const record = newRecord(request, now());
      records.set(request, record);
      journal.begin(record);
      keepBody(record, request);
      const startedAt = performance.now();
      response.once('close', () => {
        const { entry } = record;
        noteBody(record, bodyBytesMax);
        entry.status = response.headersSent ? response.statusCode : null;
        entry.is_complete = response.writableFinished;
        entry.duration_ms = Math.round((performance.now() - startedAt) * 1_000) / 1_000;
        journal.show(record);
      });
    },
  };
}

/**
 * Runs before everything else that the server does with a request. Control requests are answered separately; all others are
 * recorded first.
 */
export function standBefore(server: Server, control: App, watch: RequestWatch): void {
  const others = server.listeners('request');
  server.removeAllListeners('request');
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (isControl(request)) return control.routing(request, response);
    watch.begin(request, response);
    for (const listener of others) listener.call(server, request, response);
  });
}

export const isControl = ({ url = '' }: Pick<IncomingMessage, 'url'>) =>
  `${pathOf(url)}/`.startsWith(`${controlPrefix}/`);

const isSuccess = ({ statusCode }: FastifyReply) => statusCode >= 200 && statusCode < 300;

function newRecord(request: IncomingMessage, at: number): Underway {
  const { method = '', url = '', headers } = request;
  const key = headers['x-api-key'];
  const masked = {
    ...(typeof key === 'string' && { 'x-api-key': `${apiKeyHint(key)}…` }),
    ...(headers.cookie !== undefined && { cookie: headers.cookie.replaceAll(sessionSecret, '$1…') }),
  };
  const facts: Facts = {
    method,
    path: pathOf(url),
    organizationId: undefined,
    dataId: undefined,
    channelNames: [],
    chunkIndex: undefined,
  };
  return {
    bytes: 0,
    facts,
    parts: [],
    isBodyNoted: false,
    isJudged: false,
    entry: {
      number: 0,
      at: new Date(at).toISOString(),
      organization_id: null,
      method,
      path: url.split('?')[0] as string,
      query: queryOf(url),
      headers: { ...headers, ...masked },
      body: null,
      status: null,
      duration_ms: null,
      is_complete: false,
      fault: null,
    },
  };
}

const sessionSecret = /\b(mss1_)\w+/g;

function queryOf(url: string): Record<string, string | string[]> {
  const parameters = new URLSearchParams(url.split('?').slice(1).join('?'));
  const names = [...new Set(parameters.keys())];
  return Object.fromEntries(
    names.map((name) => {
      const values = parameters.getAll(name);
      return [name, values.length === 1 ? (values[0] as string) : values];
    }),
  );
}

/** Whoever reads the body consumes the stream, so the pieces are recorded when they are pushed into it. */
function keepBody(record: Underway, request: IncomingMessage): void {
  const push = request.push;
  request.push = (part: Buffer | null, ...more) => {
    if (part !== null && !record.isBodyNoted) {
      record.parts.push(part);
      record.bytes += part.length;
    }
    return push.call(request, part, ...more);
  };
}

/** The recorded body stays null if it is no JSON, or is larger than the bound. */
function noteBody(record: Underway, bytesMax: number): void {
  if (record.isBodyNoted) return;
  record.isBodyNoted = true;
  try {
    const sent = Buffer.concat(record.parts);
    const encoding = (record.entry.headers as IncomingMessage['headers'])['content-encoding'];
    const body = /gzip/i.test(encoding ?? '') ? gunzipSync(sent, { maxOutputLength: bytesMax }) : sent;
    record.bytes = body.length;
    // The body of a sign-in is a secret.
    if (body.length > 0 && record.facts.path !== '/session') record.entry.body = JSON.parse(body.toString('utf8'));
  } catch {
    record.entry.body = null;
  }
  record.parts = [];
}

function noteFacts(record: Underway, request: FastifyRequest): void {
  record.facts = factsOf(request, record.entry.body);
  record.entry.organization_id = record.facts.organizationId ?? null;
}
