import { ApiFailure } from './failure.ts';

/** The address of the server, with a slash at its end. It includes the path prefix of a proxy. */
export const base: string = new URL('./', document.baseURI.replace(/[?#].*$/, '')).href;

/** The time-out of a request. The server answers each within 30 s, with an error if it must. */
const answerMsMax = 35_000;

let onSignedOut = () => {};

/** Sets the function to call when an answer says that the session has ended (401). */
export function whenSignedOut(callBack: () => void): void {
  onSignedOut = callBack;
}

export interface Call {
  method?: string;
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** True for calls about the session itself: their 401 does not mean that a session has ended. */
  signingIn?: boolean;
}

/** Calls the API. @param path without a slash at its start @throws ApiFailure */
export async function callApi<Answer>(path: string, { method, body, signal, signingIn }: Call = {}): Promise<Answer> {
  const answer = await request(path, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    ...(signal !== undefined && { signal }),
    cache: 'no-store',
    credentials: 'same-origin',
  });
  if (answer.status === 204) return undefined as Answer;
  const received = (await answer.json().catch(() => undefined)) as Answer | { detail?: unknown } | undefined;
  if (answer.ok && received !== undefined) return received as Answer;
  if (answer.status === 401 && signingIn !== true) onSignedOut();
  throw new ApiFailure(
    answer.status,
    sentenceOf(answer.status, (received as { detail?: unknown } | undefined)?.detail),
  );
}

async function request(path: string, { signal, ...init }: RequestInit): Promise<Response> {
  // Where a connection has died silently, fetch would wait forever.
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), answerMsMax);
  const giveUp = () => patience.abort();
  signal?.addEventListener('abort', giveUp);
  try {
    const answer = await fetch(base + path, { ...init, signal: patience.signal });
    // The time-out covers the body too.
    const body = answer.status === 204 ? null : await answer.arrayBuffer();
    return new Response(body, { status: answer.status });
  } catch (error) {
    if (signal?.aborted) throw error;
    const why = patience.signal.aborted ? 'The server does not answer.' : 'The server cannot be reached.';
    throw new ApiFailure(0, why);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
  }
}

/** The `detail` of a refusal: a sentence, or a list of what is wrong with the fields. */
function sentenceOf(status: number, detail: unknown): string {
  if (typeof detail === 'string') return detail;
  if (Array.isArray(detail)) {
    return (detail as { loc?: unknown[]; msg?: string }[]).map(({ loc, msg }) => `${loc?.at(-1)}: ${msg}`).join('; ');
  }
  return `The server answers ${status}.`;
}

/** The query of an address, without its `?`. A list becomes one pair for each element; undefined and empty fields are left out. */
export function queryOf(fields: Record<string, string | number | boolean | readonly string[] | undefined>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (Array.isArray(value)) for (const one of value) params.append(name, one);
    else if (value !== undefined && value !== '') params.set(name, String(value));
  }
  return params.toString();
}
