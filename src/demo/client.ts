/** The address of a server, and a key for it. */
export interface Connection {
  /** Without a slash at its end. */
  endpoint: string;
  key: string;
}

/** A JSON answer, or the part of it that is read. */
export type Json = Record<string, unknown>;

const answerMsMax = 30_000;

/**
 * Sends a GET, or a POST if there is a body (`{}` for an empty one).
 * @throws with the server's own sentence when it refuses
 */
export async function call<T = Json>({ endpoint, key }: Connection, path: string, body?: object): Promise<T> {
  const headers = { 'x-api-key': key, ...(body && { 'content-type': 'application/json' }) };
  const post = body && { method: 'POST', body: JSON.stringify(body) };
  const signal = AbortSignal.timeout(answerMsMax);
  const answer = await fetch(`${endpoint}${path}`, { ...post, headers, signal }).catch((error: Error) => {
    throw new Error(`${endpoint} does not answer: ${reasonOf(error)}`);
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${endpoint}${path} answers ${answer.status}: ${text}`);
  return JSON.parse(text) as T;
}

/** The version of the server at an address, or why there is none. */
export async function findServer(endpoint: string): Promise<{ version: string } | { problem: string }> {
  try {
    const answer = await fetch(`${endpoint}/healthz`, { signal: AbortSignal.timeout(5_000) });
    const { status, version } = (await answer.json()) as Json;
    if (status === 'ok' && typeof version === 'string') return { version };
    return { problem: 'something else answers there' };
  } catch (error) {
    return { problem: error instanceof SyntaxError ? 'something else answers there' : reasonOf(error as Error) };
  }
}

/** `fetch` hides the reason of a failure in `cause`, and with several addresses in a list of errors there. */
function reasonOf(error: Error): string {
  const cause = (error.cause ?? error) as Error & { code?: string };
  return cause.message || cause.code || error.message;
}
