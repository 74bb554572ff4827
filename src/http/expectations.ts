import type { IncomingMessage, ServerResponse } from 'node:http';

/* `Expect: 100-continue`: a client that sends it waits for `100 Continue` before it sends the body. */

const waiting = new WeakMap<IncomingMessage, ServerResponse>();

/**
 * Notes that a client waits. If it is answered without `100 Continue`, the connection must end: its body may come or
 * not.
 */
export function noteExpectation(request: IncomingMessage, response: ServerResponse): void {
  waiting.set(request, response);
  response.shouldKeepAlive = false;
}

/** Whether the client of a request still waits for `100 Continue`. */
export const isAwaited = (request: IncomingMessage): boolean => waiting.has(request);

/** Sends `100 Continue` if the client waits for it. To be called before a body is read. */
export function askForBody(request: IncomingMessage): void {
  const response = waiting.get(request);
  if (response === undefined) return;
  waiting.delete(request);
  response.shouldKeepAlive = true;
  response.writeContinue();
}
