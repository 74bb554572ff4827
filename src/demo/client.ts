/** Where a server is, and a key for it. */
export interface Connection {
  /** Without a slash at its end. */
  endpoint: string;
  key: string;
}

/** What is to be read of a JSON answer. */
export type Json = Record<string, unknown>;

const answerMsMax = 30_000;

/** GET, or POST where there is a body (`{}` for none to speak of). @throws with the server's own sentence on a refusal. */
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

/** The version of the server that answers there, or why it is not one. */
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

/** `fetch` hides why it failed in the cause, and that of several addresses in a list of errors. */
function reasonOf(error: Error): string {
  const cause = (error.cause ?? error) as Error & { code?: string };
  return cause.message || cause.code || error.message;
}
