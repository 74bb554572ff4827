/** Resolves in the next turn of the event loop, when all that has arrived meanwhile has been served. */
export const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
