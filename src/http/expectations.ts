import type { IncomingMessage, ServerResponse } from 'node:http';

/* `Expect: 100-continue`: whoever sends it waits to be told before it sends the body. */

const waiting = new WeakMap<IncomingMessage, ServerResponse>();

/** Notes that a client waits. An answer without a word before it ends the connection: nobody knows whether the body comes. */
export function noteExpectation(request: IncomingMessage, response: ServerResponse): void {
  waiting.set(request, response);
  response.shouldKeepAlive = false;
}

/** Whether the client of a request still waits to be told. */
export const isAwaited = (request: IncomingMessage): boolean => waiting.has(request);

/** The body is wanted: whoever begins to read it calls this. */
export function askForBody(request: IncomingMessage): void {
  const response = waiting.get(request);
  if (response === undefined) return;
  waiting.delete(request);
  response.shouldKeepAlive = true;
  response.writeContinue();
}
